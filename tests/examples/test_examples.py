"""Every example runs as its docstring says, serves its clients, and ends cleanly on a signal.

The examples run in processes of their own, on the loop that ZCLOOP_TEST_LOOP names
(module:factory, default zcloop:new_event_loop); the clients here run on asyncio's own loop, so a
fault is the example's or its loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import operator
import os
import pathlib
import random
import re
import signal
import socket
import struct
import sys
from asyncio.subprocess import PIPE

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
LOOP = os.environ.get("ZCLOOP_TEST_LOOP", "zcloop:new_event_loop")
TEST_SECONDS = 30

pytestmark = pytest.mark.filterwarnings("error")
lending_only = pytest.mark.skipif(
    not LOOP.startswith("zcloop:"), reason="no other loop lends its memory"
)


def bounded(test):
    """Run a coroutine test on asyncio's own loop, and fail it when it takes too long."""

    @functools.wraps(test)
    def run(*arguments, **named):
        async def within_time():
            async with asyncio.timeout(TEST_SECONDS):
                await test(*arguments, **named)

        asyncio.run(within_time())

    return run


async def start(name: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-X", "faulthandler", EXAMPLES / name),
        *("--loop", LOOP, *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )


@contextlib.asynccontextmanager
async def example(name: str, *arguments: str):
    """A running example; whatever happens it is gone afterwards, and a hang leaves its stack."""
    process = await start(name, *arguments)
    try:
        yield process
    except BaseException:
        if process.returncode is None:
            process.send_signal(signal.SIGABRT)  # faulthandler prints where it is
        print((await process.stderr.read()).decode(), file=sys.stderr)
        raise
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.communicate()


async def ends_cleanly(process: asyncio.subprocess.Process) -> bytes:
    output, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
    return output


@contextlib.asynccontextmanager
async def server(name: str, ending: signal.Signals = signal.SIGINT, *arguments: str):
    """The address of a running server; the end of the block is `ending`, and its clean exit."""
    async with example(name, *arguments) as process:
        line = (await process.stdout.readline()).decode()
        announced = re.fullmatch(r"listening on (127\.0\.0\.1):(\d+)\n", line)
        assert announced, line + (await process.stderr.read()).decode()
        yield announced[1], int(announced[2])
        process.send_signal(ending)
        assert await ends_cleanly(process) == b""


@contextlib.asynccontextmanager
async def connection(address: tuple[str, int]):
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


# echo_server.py


async def echoed(address: tuple[str, int], payload: bytes) -> bytes:
    async with connection(address) as (reader, writer):
        writer.write(payload)
        writer.write_eof()
        return await reader.read()


@bounded
async def test_echo_returns_everything_to_several_clients_that_half_close():
    payloads = [random.Random(seed).randbytes(2_000_000) for seed in range(8)]
    async with server("echo_server.py") as address:
        answers = await asyncio.gather(*(echoed(address, payload) for payload in payloads))
    # Not one `==`: pytest would take minutes to print how megabytes differ.
    assert [len(answer) for answer in answers] == [len(payload) for payload in payloads]
    assert all(map(operator.eq, answers, payloads))


@bounded
async def test_echo_answers_each_small_message_before_the_next():
    async with (
        server("echo_server.py") as address,
        connection(address) as (reader, writer),
    ):
        for number in range(500):
            message = b"message %d\n" % number
            writer.write(message)
            assert await reader.readline() == message


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda each: each.name)
@bounded
async def test_echo_ends_although_a_client_is_idle_and_another_does_not_read(ending):
    async with contextlib.AsyncExitStack() as clients:
        async with server("echo_server.py", ending) as address:
            reader, writer = await clients.enter_async_context(connection(address))
            writer.write(b"idle from now on\n")
            await reader.readline()
            _, writer = await clients.enter_async_context(connection(address))
            writer.transport.set_write_buffer_limits(high=0)
            writer.transport.pause_reading()
            writer.write(bytes(64_000_000))
        # A connection that ends with unread bytes is reset, and that is what the writer sees.
        with contextlib.suppress(ConnectionError):
            await writer.drain()


# udp_server.py


@bounded
async def test_udp_returns_datagrams_of_every_size_to_their_senders():
    loop = asyncio.get_running_loop()
    # A default receive buffer holds three datagrams of 60,000 bytes; of four clients that each send
    # one to a busy server, the kernel drops one. So large ones go one at a time.
    large = asyncio.Lock()

    async def exchange(sock: socket.socket, address: tuple[str, int], datagram: bytes) -> None:
        await loop.sock_sendto(sock, datagram, address)
        answer, source = await loop.sock_recvfrom(sock, 65_536)
        assert (source, len(answer), answer == datagram) == (address, len(datagram), True)

    async def client(address: tuple[str, int], seed: int) -> None:
        source = random.Random(seed)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            for size in (1, 512, 1472, 9000, *(source.randrange(1, 9000) for _ in range(40))):
                await exchange(sock, address, source.randbytes(size))
            async with large:
                await exchange(sock, address, source.randbytes(60_000))

    async with server("udp_server.py") as address:
        await asyncio.gather(*(client(address, seed) for seed in range(4)))


@bounded
async def test_udp_goes_on_after_a_client_that_left_before_its_answer():
    loop = asyncio.get_running_loop()
    async with server("udp_server.py", signal.SIGTERM) as address:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.sendto(b"nobody waits for this", address)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            await loop.sock_sendto(sock, b"somebody does", address)
            assert await loop.sock_recv(sock, 100) == b"somebody does"


# http_server.py


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Status, head and body of the next response."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
    return status, head, await reader.readexactly(int(length[1])) if length else b""


def post(body: bytes, *fields: bytes) -> bytes:
    lines = [b"POST /echo HTTP/1.1", b"Host: test", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
HELLO = b"Hello, world!\n"


@bounded
async def test_http_answers_pipelined_requests_in_their_order():
    bodies = [b"body %d" % number * (number % 7) for number in range(500)]
    async with (
        server("http_server.py") as address,
        connection(address) as (reader, writer),
    ):
        writer.write(b"".join(GET + post(body) for body in bodies))
        for body in bodies:
            assert (await response(reader))[::2] == (200, HELLO)
            assert (await response(reader))[::2] == (200, body)


@bounded
async def test_http_answers_a_request_that_arrives_byte_by_byte():
    async with (
        server("http_server.py") as address,
        connection(address) as (reader, writer),
    ):
        for byte in post(b"slowly") + GET:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await response(reader))[::2] == (200, b"slowly")
        assert (await response(reader))[::2] == (200, HELLO)


@bounded
async def test_http_echoes_large_bodies_to_many_clients_on_kept_connections():
    async def ask(address: tuple[str, int], seed: int) -> None:
        async with connection(address) as (reader, writer):
            for size in (0, 1, 200_000, 1_000_000):
                body = random.Random(seed).randbytes(size)
                writer.write(post(body))
                status, _, echo = await response(reader)
                assert (status, len(echo), echo == body) == (200, size, True)
                writer.write(GET)
                assert (await response(reader))[::2] == (200, HELLO)

    async with server("http_server.py") as address:
        await asyncio.gather(*(ask(address, seed) for seed in range(16)))


@bounded
async def test_http_reads_chunked_bodies_and_confirms_an_expectation():
    head = b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"
    async with (
        server("http_server.py") as address,
        connection(address) as (reader, writer),
    ):
        writer.write(head + b"Expect: 100-continue\r\n\r\n")
        assert (await response(reader))[0] == 100
        writer.write(b"5\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n")
        assert (await response(reader))[::2] == (200, b"abcdef")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
        (b"this is not HTTP\r\n\r\n", 400),
        (post(b"", b"Connection: close").replace(b"/echo", b"/"), 405),
    ],
    ids=["close", "http-1.0", "upgrade", "garbage", "method-and-close"],
)
@bounded
async def test_http_answers_then_closes_when_the_connection_must_end(request_bytes, status):
    async with (
        server("http_server.py") as address,
        connection(address) as (reader, writer),
    ):
        writer.write(request_bytes)
        got, head, _ = await response(reader)
        assert got == status
        assert b"\r\nConnection: close\r\n" in head
        assert await reader.read() == b""


@bounded
async def test_http_keeps_the_connection_after_head_and_not_found():
    async with (
        server("http_server.py", signal.SIGTERM) as address,
        connection(address) as (reader, writer),
    ):
        writer.write(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nContent-Length: 14\r\n" in head
        writer.write(GET.replace(b"/ ", b"/nothing/here "))
        assert (await response(reader))[0] == 404
        writer.write(GET)
        assert (await response(reader))[::2] == (200, HELLO)


@bounded
async def test_http_refuses_a_body_that_is_too_large():
    async with (
        server("http_server.py") as address,
        connection(address) as (reader, writer),
    ):
        writer.write(post(bytes(16 * 1024 * 1024 + 1)))
        assert (await response(reader))[0] == 413


# streams_chat.py


@contextlib.asynccontextmanager
async def chatter(address: tuple[str, int], name: str):
    host, port = address
    async with example("streams_chat.py", "--connect", f"{host}:{port}", "--name", name) as process:
        yield process


@bounded
async def test_chat_carries_every_line_to_all_three_members():
    async with contextlib.AsyncExitStack() as stack:
        address = await stack.enter_async_context(server("streams_chat.py"))
        members: dict[str, asyncio.subprocess.Process] = {}

        async def everybody_reads(line: str) -> None:
            for member in members.values():
                assert (await member.stdout.readline()).decode() == line + "\n"

        for count, name in enumerate(("ann", "bob", "eve"), 1):
            members[name] = await stack.enter_async_context(chatter(address, name))
            await everybody_reads(f"* {name} joined, {count} here")
        for number in range(20):
            for name, member in members.items():
                member.stdin.write(f"line {number} of {name}\n".encode())
                await everybody_reads(f"{name}: line {number} of {name}")

        eve = members.pop("eve")
        assert (await eve.communicate(b"one last word\n"))[0] == b"eve: one last word\n"
        assert eve.returncode == 0
        await everybody_reads("eve: one last word")
        await everybody_reads("* eve left, 2 here")
        bob = members.pop("bob")
        bob.send_signal(signal.SIGINT)
        await ends_cleanly(bob)
        await everybody_reads("* bob left, 1 here")


@bounded
async def test_chat_client_ends_when_the_server_does():
    async with contextlib.AsyncExitStack() as stack:
        async with server("streams_chat.py", signal.SIGTERM) as address:
            ann = await stack.enter_async_context(chatter(address, "ann"))
            assert await ann.stdout.readline() == b"* ann joined, 1 here\n"
        # Its standard input stays open: what ends it is the server's end of the connection.
        assert await ann.stdout.read() == b""
        assert await ann.wait() == 0


@bounded
async def test_chat_throws_out_a_member_that_does_not_read_and_keeps_the_others():
    line = b"x" * 60_000 + b"\n"
    async with (
        server("streams_chat.py") as address,
        connection(address) as (reader, writer),
        connection(address) as (_, deaf),
    ):
        deaf.transport.pause_reading()
        writer.write(b"ann\n")
        assert await reader.readline() == b"* ann joined, 1 here\n"
        deaf.write(b"deaf\n")
        assert await reader.readline() == b"* deaf joined, 2 here\n"
        heard = b""
        while heard != b"* deaf left, 1 here\n":
            writer.write(line)
            heard = await reader.readline()
            assert heard in (b"ann: " + line, b"* deaf left, 1 here\n")


@bounded
async def test_chat_refuses_a_taken_name_and_survives_an_endless_line():
    async with (
        server("streams_chat.py") as address,
        connection(address) as (reader, writer),
        connection(address) as (second_reader, second_writer),
        connection(address) as (third_reader, third_writer),
    ):
        writer.write(b"ann\n")
        assert await reader.readline() == b"* ann joined, 1 here\n"
        second_writer.write(b"ann\n")
        assert await second_reader.read() == b"* that name is taken\n"
        third_writer.write(b"y" * 200_000)
        with contextlib.suppress(ConnectionError):
            assert await third_reader.read() == b""
        writer.write(b"still here\n")
        assert await reader.readline() == b"ann: still here\n"


# subprocess_pipeline.py


@bounded
async def test_both_pipelines_give_the_digest_that_python_computes():
    async with example("subprocess_pipeline.py", "--lines", "200000") as process:
        lines = (await ends_cleanly(process)).decode().splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["by_the_kernel:", "by_the_loop:"]
    assert {line.split()[1] for line in lines} == {"ok"}


# zero_copy_proxy.py


def place_text(address: tuple[str, int]) -> str:
    host, port = address
    return f"{host}:{port}"


@contextlib.asynccontextmanager
async def proxy(backend: tuple[str, int], ending: signal.Signals = signal.SIGINT):
    async with server("zero_copy_proxy.py", ending, "--to", place_text(backend)) as address:
        yield address


@contextlib.asynccontextmanager
async def backend(handler):
    """The address of a server in this process, each of whose connections `handler` gets."""
    served = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with served:
        yield served.sockets[0].getsockname()


@lending_only
@bounded
async def test_proxy_carries_everything_of_several_clients_that_half_close():
    payloads = [random.Random(seed).randbytes(2_000_000) for seed in range(8)]
    async with server("echo_server.py") as echo, proxy(echo) as address:
        answers = await asyncio.gather(*(echoed(address, payload) for payload in payloads))
    assert [len(answer) for answer in answers] == [len(payload) for payload in payloads]
    assert all(map(operator.eq, answers, payloads))


@lending_only
@bounded
async def test_proxy_passes_on_the_end_of_either_side_while_the_other_goes_on():
    async def speak_first(reader, writer):
        writer.write(b"that is all from me")
        writer.write_eof()
        received.set_result(await reader.read())
        writer.close()

    received = asyncio.get_running_loop().create_future()
    async with (
        backend(speak_first) as place,
        proxy(place, signal.SIGTERM) as address,
        connection(address) as (reader, writer),
    ):
        assert await reader.read() == b"that is all from me"
        writer.write(b"and this from me")
        writer.write_eof()
        assert await received == b"and this from me"


@lending_only
@bounded
async def test_proxy_does_not_read_what_the_other_side_does_not_take_and_loses_nothing():
    async def listen_later(reader, writer):
        await may_read.wait()
        received.set_result(await reader.read())
        writer.close()

    loop = asyncio.get_running_loop()
    may_read, received = asyncio.Event(), loop.create_future()
    payload = random.Random(1).randbytes(64_000_000)
    with socket.socket() as client:
        client.setblocking(False)
        async with backend(listen_later) as place, proxy(place) as address:
            await loop.sock_connect(client, address)
            sending = loop.create_task(loop.sock_sendall(client, payload))
            # A proxy that held it all would have taken it long before.
            assert await asyncio.wait([sending], timeout=1) == (set(), {sending})
            may_read.set()
            await sending
            client.shutdown(socket.SHUT_WR)
            assert operator.eq(await received, payload)


@lending_only
@bounded
async def test_proxy_closes_a_client_whose_backend_is_not_there():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        async with proxy(bound.getsockname()) as address, connection(address) as (reader, _):
            assert await reader.read() == b""


# zero_copy_receive.py


def readings(*values: float) -> bytes:
    body = b"".join(struct.pack("!Id", sensor, value) for sensor, value in enumerate(values))
    return struct.pack("!I", len(body)) + body


async def counters(reader: asyncio.StreamReader) -> list[int]:
    return [int(number) for number in re.findall(rb"\d+", await reader.read())]


@lending_only
@bounded
async def test_receive_parses_messages_in_whatever_pieces_they_come():
    stream = readings(1.5) + readings(*range(1, 21)) + readings(7)
    async with server("zero_copy_receive.py") as address:
        for step in (1, 3, 5, 17, len(stream)):
            async with connection(address) as (reader, writer):
                for start in range(0, len(stream), step):
                    writer.write(stream[start : start + step])
                    await asyncio.sleep(0)
                writer.write_eof()
                assert await reader.readline() == b"1 readings, mean 1.5\n"
                assert await reader.readline() == b"20 readings, mean 10.5\n"
                assert await reader.readline() == b"1 readings, mean 7\n"
                assert sum((await counters(reader))[:2]) == len(stream)


@lending_only
@bounded
async def test_receive_reads_large_messages_in_place_and_says_what_was_copied():
    # Half of a message is in memory when it begins to be read: its parts are not all joined.
    async with (
        server("zero_copy_receive.py", signal.SIGTERM) as address,
        example("zero_copy_receive.py", "--send", place_text(address)) as client,
    ):
        output = (await ends_cleanly(client)).decode()
    in_place, copied, joined = map(int, re.findall(r"\d+", output))
    assert in_place + copied == 100 * len(readings(*range(10_000)))
    assert joined < in_place


@lending_only
@pytest.mark.parametrize("size", [0, 13, 0xFFFFFFFF])
@bounded
async def test_receive_drops_a_client_whose_length_is_that_of_no_message(size):
    async with server("zero_copy_receive.py") as address:
        async with connection(address) as (reader, writer):
            writer.write(struct.pack("!I", size) + bytes(13))
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        async with connection(address) as (reader, writer):
            writer.write(readings(2))
            assert await reader.readline() == b"1 readings, mean 2\n"


@bounded
async def test_every_example_opens_with_the_command_that_runs_it():
    for path in sorted(EXAMPLES.glob("*.py")):
        assert f"    python examples/{path.name}" in path.read_text().split('"""')[1], path.name
