"""asyncio.subprocess: every way to start, feed, read, end and reap a child process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT

import pytest

from .payloads import digest, payload


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", program)


async def start(*command: str, **how) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(*command, **how)


async def test_exec_and_shell_report_output_and_exit_status():
    process = await start("echo", "hello", stdout=PIPE)
    assert (await process.communicate(), process.returncode) == ((b"hello\n", None), 0)
    shell = "read line; echo out $line; echo err >&2; exit 7"
    process = await asyncio.create_subprocess_shell(shell, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert await process.communicate(b"in\n") == (b"out in\n", b"err\n")
    assert process.returncode == 7
    assert await process.wait() == 7


async def test_missing_program_and_directory_are_errors_that_leak_nothing(tmp_path):
    for _ in range(10):
        with pytest.raises(FileNotFoundError):
            await start("/no/such/program", stdin=PIPE, stdout=PIPE, stderr=PIPE)
        with pytest.raises(FileNotFoundError):
            await start("true", cwd=tmp_path / "nowhere", stdout=PIPE)
    (tmp_path / "not-executable").write_text("")
    with pytest.raises(PermissionError):
        await start(str(tmp_path / "not-executable"))


async def test_megabytes_pass_through_stdin_and_stdout_at_once():
    content = payload(8_000_000)
    process = await start("cat", stdin=PIPE, stdout=PIPE)
    output, _ = await process.communicate(content)
    assert (process.returncode, digest(output)) == (0, digest(content))


async def test_large_stderr_does_not_block_a_large_stdout():
    program = "import os\nfor _ in range(40): os.write(2, b'e' * 50000); os.write(1, b'o' * 50000)"
    process = await start(*python(program), stdout=PIPE, stderr=PIPE)
    output, errors = await process.communicate()
    assert (digest(output), digest(errors)) == (digest(b"o" * 2_000_000), digest(b"e" * 2_000_000))


async def test_stderr_joined_to_stdout_keeps_the_order_of_writes():
    program = "import os\nfor n in range(1000): os.write(1 + n % 2, b'%d\\n' % n)"
    process = await start(*python(program), stdout=PIPE, stderr=STDOUT)
    output, errors = await process.communicate()
    assert output.split() == [b"%d" % number for number in range(1000)]
    assert errors is None


async def test_conversation_is_answered_line_by_line():
    process = await start("cat", stdin=PIPE, stdout=PIPE)
    for number in range(300):
        process.stdin.write(b"line %d\n" % number)
        assert await process.stdout.readline() == b"line %d\n" % number
    process.stdin.close()
    assert await process.stdout.read() == b""
    assert await process.wait() == 0


async def test_writer_waits_while_the_child_does_not_read():
    program = "import sys, hashlib\nfirst = sys.stdin.buffer.read(1)\nprint(flush=True)\n"
    program += "print(hashlib.sha256(first + sys.stdin.buffer.read()).hexdigest())"
    process = await start(*python(program), stdin=PIPE, stdout=PIPE)
    content = payload(4_000_000)
    process.stdin.write(content)
    # More than the pipe holds is above the transport's high-water mark: drain() has to wait.
    draining = asyncio.ensure_future(process.stdin.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    assert await process.stdout.readline() == b"\n"
    await draining
    process.stdin.close()
    assert (await process.stdout.read()).decode().strip() == digest(content)
    assert await process.wait() == 0


async def test_child_that_closes_its_input_early_does_not_fail_communicate(loop_name):
    process = await start("true", stdin=PIPE, stdout=PIPE)
    try:
        assert await process.communicate(payload(2_000_000)) == (b"", None)
    except RuntimeError:
        # Only when the child ended first, so this is not an expected failure of every run.
        if loop_name.startswith("uvloop:"):
            pytest.xfail("uvloop refuses to write to a closed transport; asyncio ignores it")
        raise
    assert process.returncode == 0


@pytest.mark.parametrize("how", ["terminate", "kill", "send_signal"])
async def test_signals_end_the_child_and_are_its_exit_status(how):
    process = await start("sleep", "60")
    if how == "send_signal":
        process.send_signal(signal.SIGUSR1)
        assert await process.wait() == -signal.SIGUSR1
    else:
        getattr(process, how)()
        assert await process.wait() == -(signal.SIGTERM if how == "terminate" else signal.SIGKILL)
    with pytest.raises(ProcessLookupError):
        process.kill()


async def test_child_that_handles_sigterm_chooses_its_own_exit_status():
    program = "import signal, sys\nsignal.signal(15, lambda *_: sys.exit(9))\n"
    program += "print('ready', flush=True)\nsignal.pause()"
    process = await start(*python(program), stdout=PIPE)
    assert await process.stdout.readline() == b"ready\n"
    process.terminate()
    assert await process.wait() == 9
    assert await process.stdout.read() == b""


async def test_communicate_with_a_timeout_leaves_the_child_to_be_killed():
    process = await start("sleep", "60", stdout=PIPE, stdin=PIPE)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await process.communicate()
    assert process.returncode is None
    process.kill()
    assert await process.communicate() == (b"", None)
    assert process.returncode == -signal.SIGKILL


async def test_many_children_at_once_each_report_their_own_status():
    async def one(number: int) -> tuple[int, bytes]:
        process = await asyncio.create_subprocess_shell(
            f"read line; echo {number} $line; exit {number}", stdin=PIPE, stdout=PIPE
        )
        output, _ = await process.communicate(b"go\n")
        return process.returncode, output

    statuses = await asyncio.gather(*(one(number) for number in range(60)))
    assert statuses == [(number, b"%d go\n" % number) for number in range(60)]


async def test_several_tasks_may_wait_for_one_child():
    process = await start("cat", stdin=PIPE)
    waiting = [asyncio.create_task(process.wait()) for _ in range(5)]
    process.stdin.close()
    assert await asyncio.gather(*waiting) == [0] * 5


async def test_no_zombie_is_left_when_wait_returns():
    for _ in range(20):
        process = await start("true")
        await process.wait()
        assert not pathlib.Path(f"/proc/{process.pid}").exists()


async def test_child_that_ended_before_anyone_waited_has_its_status():
    process = await start("sh", "-c", "exit 5", stdout=PIPE)
    assert await process.stdout.read() == b""
    assert await process.wait() == 5


async def test_end_of_output_waits_for_a_grandchild_that_holds_it():
    # A background job of the shell would read /dev/null: descriptor 3 keeps the real input.
    process = await asyncio.create_subprocess_shell(
        "exec 3<&0; (read line <&3; echo late) & echo early", stdin=PIPE, stdout=PIPE
    )
    assert await process.stdout.readline() == b"early\n"
    process.stdin.write(b"go\n")
    assert await process.stdout.read() == b"late\n"
    assert await process.wait() == 0


async def test_child_gets_its_environment_directory_session_and_descriptors(tmp_path):
    reading, writing = os.pipe()
    program = f"import os\nos.write({writing}, b'passed')\n"
    program += "print(os.environ['ZC'], os.getcwd(), os.getsid(0) == os.getpid())"
    process = await start(
        *python(program),
        stdin=DEVNULL,
        stdout=PIPE,
        env={"ZC": "loop"},
        cwd=tmp_path,
        pass_fds=(writing,),
        start_new_session=True,
    )
    os.close(writing)
    output, _ = await process.communicate()
    assert output.decode().split() == ["loop", str(tmp_path), "True"]
    assert os.read(reading, 100) == b"passed"
    os.close(reading)


async def test_child_inherits_no_descriptor_of_the_loop(loop_name):
    process = await start("ls", "/proc/self/fd", stdin=DEVNULL, stdout=PIPE, close_fds=True)
    output, _ = await process.communicate()
    if loop_name.startswith("uvloop:"):
        pytest.xfail("uvloop ignores close_fds: its children inherit /dev/null and their own pipes")
    # The fourth is the directory that ls itself reads.
    assert output.split() == [b"0", b"1", b"2", b"3"]


async def test_child_starts_with_default_signals_whatever_the_loop_handles():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: None)
    try:
        program = "import signal\nprint(signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL,"
        program += "len(signal.pthread_sigmask(signal.SIG_BLOCK, [])))"
        process = await start(*python(program), stdout=PIPE)
        assert (await process.communicate())[0].split() == [b"True", b"0"]
    finally:
        loop.remove_signal_handler(signal.SIGUSR1)


async def test_cancelled_wait_does_not_disturb_the_child_or_a_later_wait():
    process = await start("cat", stdin=PIPE, stdout=PIPE)
    waiting = asyncio.create_task(process.wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    assert await process.communicate(b"still here") == (b"still here", None)
    assert await process.wait() == 0


async def test_protocol_hears_of_data_pipe_ends_and_exit():
    ended = asyncio.get_running_loop().create_future()
    events: list[tuple] = []

    class Recorder(asyncio.SubprocessProtocol):
        def pipe_data_received(self, fd: int, data: bytes) -> None:
            events.append(("data", fd, data))

        def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
            events.append(("lost", fd, exc))

        def process_exited(self) -> None:
            events.append(("exited",))

        def connection_lost(self, exc: Exception | None) -> None:
            ended.set_result(exc)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.subprocess_exec(Recorder, "sh", "-c", "echo out; echo err >&2")
    assert await ended is None
    assert transport.get_returncode() == 0
    assert {("data", 1, b"out\n"), ("data", 2, b"err\n"), ("exited",)} <= set(events)
    assert {event[1] for event in events if event[0] == "lost"} == {0, 1, 2}
    transport.close()
