"""The status of a child is its own, whoever looks first, and is told when the child has ended."""

import asyncio
import contextlib
import os
import signal
import threading
from asyncio.subprocess import PIPE

import pytest
from waits import until

import zcloop

SIGNALS = {
    "terminate": lambda process: process.terminate(),
    "kill": lambda process: process.kill(),
    "send_signal": lambda process: process.send_signal(signal.SIGINT),
}
LOOKS = SIGNALS | {
    "close": lambda process: process._transport.close(),
    "poll": lambda process: popen_of(process).poll(),
    "wait in a thread": lambda process: in_thread(popen_of(process).wait),
}


@pytest.fixture(params=["pidfd", "thread"])
def way(request, monkeypatch):
    """How the loop learns of ends: a kernel without pidfd_open has a thread wait."""

    def refuse(pid, flags=0):
        raise OSError(38, "no pidfd_open here")

    if request.param == "thread":
        monkeypatch.setattr(os, "pidfd_open", refuse)


def popen_of(process):
    return process._transport.get_extra_info("subprocess")


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def let_end(process):
    """Return when the child has ended; the loop has not heard of it, but in its waiting thread."""
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


@contextlib.asynccontextmanager
async def child_with_heir():
    """A child that sleeps, and has a child of its own that keeps its pipes until we let go."""
    process = await asyncio.create_subprocess_shell(
        "exec 3<&0; cat <&3 & exec sleep 1000", stdin=PIPE, stdout=PIPE
    )
    process.stdin.write(b"the heir reads\n")
    assert await process.stdout.readline() == b"the heir reads\n"
    try:
        yield process
    finally:
        process.stdin.close()
        assert await process.stdout.read() == b""
        await until(lambda: process._transport._proc is None)


@pytest.mark.zcloop_only
@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
async def test_a_child_that_has_ended_keeps_its_status_whoever_looks_first(look, way, caplog):
    process = await asyncio.create_subprocess_exec("sh", "-c", "exit 7")
    let_end(process)
    look(process)
    assert await process.wait() == 7
    assert process.returncode == 7
    assert caplog.text == ""


@pytest.mark.zcloop_only
async def test_many_children_that_have_ended_and_are_signalled_keep_their_statuses(way, caplog):
    processes = [
        await asyncio.create_subprocess_exec("sh", "-c", f"exit {number}") for number in range(20)
    ]
    waiting = [asyncio.ensure_future(process.wait()) for process in processes]
    for process in processes:
        let_end(process)
        with contextlib.suppress(ProcessLookupError):  # the loop has heard of some
            process.terminate()
    assert await asyncio.gather(*waiting) == list(range(20))
    assert caplog.text == ""


@pytest.mark.zcloop_only
@pytest.mark.parametrize("send", SIGNALS.values(), ids=SIGNALS)
async def test_a_child_reaped_by_somebody_else_has_status_255_also_when_it_is_signalled(
    send, caplog
):
    process = await asyncio.create_subprocess_exec("true")
    os.waitpid(process.pid, 0)
    send(process)
    assert await process.wait() == 255
    assert caplog.text.count("Unknown child process") == 1


async def test_closing_the_transport_of_a_child_that_runs_kills_it(way):
    process = await asyncio.create_subprocess_exec("sleep", "1000")
    process._transport.close()
    assert await process.wait() == -signal.SIGKILL


@pytest.mark.zcloop_only
@pytest.mark.seconds(10)
async def test_wait_returns_when_the_child_has_ended_although_another_keeps_its_pipe(way):
    async with child_with_heir() as process:
        before = [asyncio.ensure_future(process.wait()) for _ in range(3)]
        await asyncio.sleep(0)  # they wait
        before[1].cancel()
        process.kill()
        assert await before[0] == await before[2] == -signal.SIGKILL
        with pytest.raises(asyncio.CancelledError):
            await before[1]
        assert await process.wait() == -signal.SIGKILL


@pytest.mark.zcloop_only
@pytest.mark.seconds(10)
async def test_wait_that_begins_after_the_end_returns_although_another_keeps_the_pipe(way):
    async with child_with_heir() as process:
        process.kill()
        let_end(process)
        assert await process.wait() == -signal.SIGKILL


@pytest.mark.zcloop_only
@pytest.mark.parametrize("send", SIGNALS.values(), ids=SIGNALS)
async def test_no_signal_is_sent_to_a_pid_that_is_another_processs_by_now(send, monkeypatch):
    sent = []
    async with child_with_heir() as process:
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        with monkeypatch.context() as patch:
            patch.setattr(os, "kill", lambda *what: sent.append(what))
            send(process)
    assert sent == []


@pytest.mark.parametrize("backend", ["auto", "epoll"])
def test_a_handler_of_sigchld_that_waits_for_all_children_takes_no_status(backend):
    """Ends and signals of a busy turn: whichever the loop hears of first."""

    async def main():
        loop = asyncio.get_running_loop()
        taken = []

        def wait_for_all():
            with contextlib.suppress(ChildProcessError):
                while (got := os.waitpid(-1, os.WNOHANG))[0]:
                    taken.append(got)

        loop.add_signal_handler(signal.SIGCHLD, wait_for_all)
        try:
            for _ in range(20):
                children = [
                    await asyncio.create_subprocess_exec("sh", "-c", f"exit {number}")
                    for number in range(4)
                ]
                for child in children:  # they end while the loop is busy, or have ended
                    with contextlib.suppress(ChildProcessError):
                        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
                assert [await child.wait() for child in children] == [0, 1, 2, 3]
        finally:
            loop.remove_signal_handler(signal.SIGCHLD)
        assert taken == []

    with asyncio.Runner(loop_factory=lambda: zcloop.new_event_loop(backend=backend)) as runner:
        runner.run(main())
