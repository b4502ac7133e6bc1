"""Child processes: their pipes, their ends, and nothing left of them."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from asyncio.subprocess import PIPE, STDOUT

import pytest
from peers import io_passed, payload, script


async def run(*arguments, data=None, **options):
    process = await asyncio.create_subprocess_exec(
        *arguments, stdin=PIPE if data is not None else None, stdout=PIPE, **options
    )
    output, _ = await process.communicate(data)
    return process.returncode, output


async def test_the_exit_status_and_output_are_those_of_the_child():
    assert await run("sh", "-c", "echo out; exit 7") == (7, b"out\n")


async def test_a_megabyte_goes_through_a_child_and_back():
    data = payload(1_000_000)
    assert await run("cat", data=data) == (0, data)


async def test_the_childs_stdin_can_be_opened_by_its_path():
    assert await run("cat", "/dev/stdin", data=b"by path") == (0, b"by path")


async def test_stderr_may_go_where_stdout_goes():
    returned, output = await run("sh", "-c", "echo one; echo two >&2", stderr=STDOUT)
    assert (returned, sorted(output.split())) == (0, [b"one", b"two"])


@pytest.mark.zcloop_only
async def test_many_children_at_once_need_no_threads():
    threads = threading.active_count()
    processes = await asyncio.gather(
        *(asyncio.create_subprocess_exec("sh", "-c", f"exit {number}") for number in range(40))
    )
    assert threading.active_count() == threads
    assert await asyncio.gather(*(each.wait() for each in processes)) == list(range(40))
    assert threading.active_count() == threads


async def test_signals_reach_the_child_and_its_end_is_told():
    for send, sig in (
        (lambda process: process.kill(), signal.SIGKILL),
        (lambda process: process.terminate(), signal.SIGTERM),
        (lambda process: process.send_signal(signal.SIGINT), signal.SIGINT),
    ):
        process = await asyncio.create_subprocess_exec("sleep", "1000")
        send(process)
        assert await process.wait() == -sig
        with pytest.raises(ProcessLookupError):
            process.kill()


async def test_a_program_that_is_not_there_raises_and_leaves_nothing():
    with pytest.raises(FileNotFoundError):
        await asyncio.create_subprocess_exec("/nothing/here", stdin=PIPE, stdout=PIPE)
    with pytest.raises(PermissionError):
        await asyncio.create_subprocess_exec("/etc/passwd")


async def test_shell_commands_run():
    process = await asyncio.create_subprocess_shell("echo $((6 * 7))", stdout=PIPE)
    assert await process.communicate() == (b"42\n", None)


async def test_other_children_of_the_process_are_left_alone():
    with subprocess.Popen(["sh", "-c", "exit 3"]) as other:
        assert await run("true") == (0, b"")
        assert await asyncio.to_thread(other.wait) == 3


@pytest.mark.zcloop_only
async def test_a_child_that_somebody_else_reaped_is_told_with_255(caplog):
    process = await asyncio.create_subprocess_exec("true")
    os.waitpid(process.pid, 0)
    assert await process.wait() == 255
    assert "Unknown child process" in caplog.text


async def test_the_protocol_gets_pipe_data_and_the_end_last():
    class Protocol(asyncio.SubprocessProtocol):
        def __init__(self):
            self.calls = []
            self.done = asyncio.get_running_loop().create_future()

        def pipe_data_received(self, fd, data):
            self.calls.append((fd, data))

        def pipe_connection_lost(self, fd, exc):
            self.calls.append((fd, None))

        def process_exited(self):
            self.calls.append("exited")

        def connection_lost(self, exc):
            self.calls.append("lost")
            self.done.set_result(exc)

    loop = asyncio.get_running_loop()
    transport, protocol = await loop.subprocess_exec(
        Protocol, "sh", "-c", "echo out; echo err >&2", stdin=None
    )
    assert await protocol.done is None
    assert isinstance(transport, asyncio.SubprocessTransport)
    assert transport.get_returncode() == 0
    transport.close()
    assert protocol.calls[-1] == "lost" and "exited" in protocol.calls
    assert {(1, b"out\n"), (2, b"err\n"), (1, None), (2, None)} <= set(protocol.calls[:-1])


async def test_waiting_for_a_child_can_be_cancelled_and_done_again():
    process = await asyncio.create_subprocess_exec("cat", stdin=PIPE)
    waiting = asyncio.ensure_future(process.wait())
    await io_passed()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    process.stdin.close()
    assert await process.wait() == 0


async def test_a_child_inherits_no_descriptor_of_the_loop():
    await asyncio.sleep(0.001)
    listing = "import os; print(sorted(os.listdir('/proc/self/fd'))[:-1])"
    _, output = await run(sys.executable, "-c", listing, data=b"")
    assert output == b"['0', '1', '2']\n"


async def test_a_child_that_closes_its_stdin_does_not_hang_the_writer():
    process = await asyncio.create_subprocess_exec("true", stdin=PIPE)
    process.stdin.write(payload(5_000_000))
    with contextlib.suppress(ConnectionError):
        await process.stdin.drain()
    assert await process.wait() == 0


@pytest.mark.zcloop_only
def test_closing_the_loop_with_a_living_child_leaks_no_descriptor():
    said = script(
        """
        import gc, warnings
        warnings.simplefilter("ignore")

        async def main():
            process = await asyncio.create_subprocess_exec("sleep", "1000")
            process.kill()
            process._transport.close()

        asyncio.set_event_loop(None)
        before = sorted(os.listdir("/proc/self/fd"))
        loop = new_event_loop()
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main())
        loop.close()
        del loop
        asyncio.set_event_loop(None)
        gc.collect()
        print(before == sorted(os.listdir("/proc/self/fd")))
        """
    )
    assert said.splitlines()[-1] == "True"


UNHEARD = {
    "a child that runs": ("cat", "PIPE", "asyncio.sleep(0)"),
    "a child without pipes": ("sleep 1000", "None", "asyncio.sleep(0)"),
    "a child that has ended": (
        "cat",
        "PIPE",
        "asyncio.sleep(0, (process.kill(), os.waitid(*ENDED)))",
    ),
    "a pipe full of input": ("sleep 1000", "PIPE", "written(bytes(1_000_000))"),
    "output that nobody reads": ("yes", "PIPE", "process.stdout.readline()"),
}


@pytest.mark.parametrize(("command", "pipe", "then"), UNHEARD.values(), ids=UNHEARD)
@pytest.mark.parametrize("end", ["del process", "process._transport.close()", "pass"])
def test_a_transport_dropped_after_its_loop_closed_says_nothing(command, pipe, then, end):
    said = script(
        f"""
        import gc, warnings
        from asyncio.subprocess import PIPE
        warnings.simplefilter("ignore")

        async def main():
            async def written(data):
                process.stdin.write(data)

            process = await asyncio.create_subprocess_exec(
                *{command.split()!r}, stdin={pipe}, stdout={pipe})
            ENDED = os.P_PID, process.pid, os.WEXITED | os.WNOWAIT
            await {then}
            return process

        loop = new_event_loop()
        process = loop.run_until_complete(main())
        pid = process.pid
        loop.close()
        {end}
        gc.collect()
        print("ended")
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        """
    )
    assert said == "ended\n"


def test_children_of_loops_in_other_threads_are_reaped(loop_factory):
    results = []

    def thread(number):
        async def main():
            return (await run("sh", "-c", f"exit {number}"))[0]

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            results.append(runner.run(main()))

    threads = [threading.Thread(target=thread, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(results) == [0, 1, 2, 3]
