"""The end of a child as an operation."""

import asyncio
import errno
import os
import signal

import pytest
from peers import io_passed

from zcloop._native.operation.wait_child import WaitChild

pytestmark = pytest.mark.zcloop_only


@pytest.fixture
def gate():
    """The write end of a pipe, and a function that forks a child which ends when it is closed."""
    reading, writing = os.pipe()
    ends = {reading, writing}

    def fork(status):
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            os.read(reading, 1)
            os._exit(status)
        return pid

    def let_go():
        while ends:
            os.close(ends.pop())

    yield fork, let_go
    let_go()


async def begin(pid):
    """A task that waits for the child already."""
    task = asyncio.ensure_future(asyncio.get_running_loop().perform(WaitChild(pid)))
    await io_passed()
    assert not task.done()
    return task


async def test_the_outcome_is_that_of_waitid(gate):
    fork, let_go = gate
    pid = fork(7)
    waiting = await begin(pid)
    let_go()
    ended = await waiting
    assert (ended.si_pid, ended.si_status, ended.si_code) == (pid, 7, os.CLD_EXITED)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)


async def test_a_signal_that_ended_it_is_told(gate):
    pid = gate[0](0)
    waiting = await begin(pid)
    os.kill(pid, signal.SIGKILL)
    ended = await waiting
    assert (ended.si_status, ended.si_code) == (signal.SIGKILL, os.CLD_KILLED)


async def test_a_child_that_has_ended_before_is_waited_for():
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    ended = await asyncio.get_running_loop().perform(WaitChild(pid))
    assert ended.si_status == 3


async def test_a_cancelled_wait_leaves_the_status_to_others(gate):
    fork, let_go = gate
    pid = fork(5)
    waiting = await begin(pid)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    let_go()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5


async def test_a_child_that_somebody_else_reaped_is_an_error(gate):
    fork, let_go = gate
    pid = fork(0)
    waiting = await begin(pid)
    let_go()
    os.waitpid(pid, 0)
    assert await waiting == -errno.ECHILD


@pytest.mark.parametrize(
    ("pid", "error"),
    [(-1, ValueError), (0, ValueError), (1, ChildProcessError), (1 << 22, ProcessLookupError)],
)
def test_what_is_no_child_is_refused(pid, error):
    with pytest.raises(error):
        WaitChild(pid)
