"""A channel that waits for the ends of child processes."""

import os
import signal

import pytest
from channels import channel_of, next_of

import zcloop
from zcloop import requests

pytestmark = pytest.mark.zcloop_only


@pytest.fixture
def child():
    """The pid of a child that waits to be killed."""
    pid = os.fork()
    if pid == 0:
        while True:
            signal.pause()
    yield pid
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass  # reaped, as most tests want it


def test_the_end_of_a_child_is_an_event_and_reaps_it(child):
    with channel_of() as channel:
        channel.wait_child(child, data="mine")
        assert channel.next_event() is None
        os.kill(child, signal.SIGKILL)
        event = next_of(channel)
        assert (event.type, event.source, event.data) == ("wait_child", child, "mine")
        ended = event.check()
        assert (ended.si_pid, ended.si_status, ended.si_code) == (child, 9, os.CLD_KILLED)
        with pytest.raises(ChildProcessError):
            os.waitpid(child, 0)


def test_a_child_that_somebody_else_reaped_is_an_error(child):
    with channel_of() as channel:
        channel.submit([requests.wait_child(child)])
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with pytest.raises(ChildProcessError):
            next_of(channel).check()


def test_a_channel_that_is_closed_leaves_the_status_to_others(child):
    with zcloop.EventChannel() as channel:
        channel.wait_child(child)
    os.kill(child, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("pid", "error"),
    [(0, ValueError), (1, ChildProcessError), (1 << 22, ProcessLookupError), ("1", TypeError)],
)
def test_what_is_no_child_is_refused(pid, error):
    with channel_of() as channel, pytest.raises(error):
        channel.wait_child(pid)
