"""What is written has left when the call that wrote it returns: the kernel has it.

The peer is a blocking socket in the thread of the loop, which gets no turn between the write and
the receive. In a turn that has other work in hand the kernel may send up to 250 ms later, by
itself; so the peer waits for seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from encryption import Peer
from peers import RECEIVE_SECONDS, gone, payload, receive, receive_to_the_end, tcp_pair, unix_pair

import zcloop

from .conftest import LOOP_NAME

CHILD_SECONDS = 30
SMALL, LARGE = b"x" * 10, payload(10_000)


# ---- plain transports -------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def transport_over(pair: Callable) -> AsyncIterator[tuple[Any, socket.socket]]:
    loop = asyncio.get_running_loop()
    with pair() as (ours, peer):
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        try:
            yield transport, peer
        finally:
            transport.abort()
            await gone(transport)


class PipePeer:
    """The reading end of a pipe, as far as the tests ask a socket."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def settimeout(self, seconds: float) -> None:
        self.seconds = seconds

    def setblocking(self, flag: bool) -> None:
        pass

    def recv(self, size: int) -> bytes:
        if not select.select([self.fd], [], [], self.seconds)[0]:
            raise TimeoutError("nothing in the pipe")
        return os.read(self.fd, min(size, 1 << 16))


@contextlib.asynccontextmanager
async def pipe_end() -> AsyncIterator[tuple[Any, Any]]:
    reader, writer = os.pipe()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_write_pipe(asyncio.Protocol, os.fdopen(writer, "wb", 0))
    try:
        yield transport, PipePeer(reader)
    finally:
        os.close(reader)
        transport.abort()
        while transport._pipe is not None:
            await asyncio.sleep(0)


TRANSPORTS = {
    "tcp": lambda: transport_over(tcp_pair),
    "unix": lambda: transport_over(unix_pair),
    "pipe": pipe_end,
}
over_each = pytest.mark.parametrize("made", TRANSPORTS.values(), ids=TRANSPORTS)


@over_each
@pytest.mark.parametrize("sizes", [[1], [1, 1, 1], [100, 10_000, 1], [40_000, 1], [1, 40_000]])
async def test_bytes_are_on_the_wire_when_write_returns(made: Callable, sizes: list[int]) -> None:
    async with made() as (transport, peer):
        for size in sizes:
            transport.write(payload(size))
            assert receive(peer, size) == payload(size)
        for size in sizes:
            transport.write(payload(size))
        whole = b"".join(map(payload, sizes))
        assert receive(peer, len(whole)) == whole
        transport.writelines([payload(size) for size in sizes])
        assert receive(peer, len(whole)) == whole
        assert transport.get_write_buffer_size() == 0


@over_each
async def test_bytes_are_on_the_wire_in_a_turn_that_has_other_work(made: Callable) -> None:
    loop = asyncio.get_running_loop()
    async with made() as (transport, peer), made() as (another, other_peer):
        heard: list[bytes] = []

        def question() -> None:
            another.write(b"something else")
            transport.write(b"question")

        def answer() -> None:
            heard.append(receive(peer, 8))
            heard.append(receive(other_peer, 14))

        for callback in (question, answer, question, answer, question, question):
            loop.call_soon(callback)
        await asyncio.sleep(0)
        answer()
        answer()
        assert heard == [b"question", b"something else"] * 4


@pytest.mark.parametrize("streams", [asyncio, zcloop])
async def test_bytes_are_on_the_wire_when_a_stream_writer_returns(streams: Any) -> None:
    with tcp_pair() as (ours, peer):
        _, writer = await streams.open_connection(sock=ours)
        writer.write(b"one")
        assert receive(peer, 3) == b"one"
        writer.writelines([b"two", b"three"])
        assert receive(peer, 8) == b"twothree"
        writer.write(LARGE)
        await writer.drain()
        assert receive(peer, len(LARGE)) == LARGE
        writer.write(b"last")
        writer.write_eof()
        assert receive_to_the_end(peer) == b"last"
        writer.close()
        await writer.wait_closed()
        await gone(writer.transport)


async def test_a_tls_record_is_on_the_wire_when_write_returns(certificates: Any) -> None:
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, theirs):
        peer = Peer(theirs, certificates.client_context())
        connecting = asyncio.ensure_future(
            loop.connect_accepted_socket(asyncio.Protocol, ours, ssl=certificates.server_context())
        )
        await peer.do(peer.tls.do_handshake)
        transport, _ = await connecting
        for message in (SMALL, LARGE):
            transport.write(message)
            received = b""
            while len(received) < len(message):
                try:
                    received += peer.tls.read(len(message))
                except ssl.SSLWantReadError:
                    peer.incoming.write(receive_some(theirs))
            assert received == message
        transport.abort()
        await gone(transport)


def receive_some(sock: socket.socket) -> bytes:
    sock.settimeout(RECEIVE_SECONDS)
    try:
        return sock.recv(1 << 16)
    finally:
        sock.setblocking(False)


@contextlib.contextmanager
def datagram_pair(family: int, name: Any) -> Iterator[tuple[socket.socket, socket.socket]]:
    kind = socket.SOCK_DGRAM
    with socket.socket(family, kind) as one, socket.socket(family, kind) as other:
        for sock in (one, other):
            sock.bind(name)
            sock.setblocking(False)
        one.connect(other.getsockname())
        yield one, other


def udp_pair() -> Any:
    return datagram_pair(socket.AF_INET, ("127.0.0.1", 0))


def unix_datagram_pair() -> Any:
    return datagram_pair(socket.AF_UNIX, "")  # the kernel gives them abstract names


@pytest.mark.parametrize("pair", [udp_pair, unix_datagram_pair])
async def test_a_datagram_is_on_the_wire_when_sendto_returns(pair: Callable) -> None:
    loop = asyncio.get_running_loop()
    with pair() as (ours, peer):
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=ours)
        for size in (1, 100, 5_000):
            transport.sendto(payload(size))
            assert receive_some(peer) == payload(size)
        for number in range(3):
            transport.sendto(b"%d" % number)
        assert [receive_some(peer) for _ in range(3)] == [b"0", b"1", b"2"]
        transport.abort()
        await gone(transport)


async def test_the_input_of_a_child_is_in_its_pipe_when_write_returns() -> None:
    process = await asyncio.create_subprocess_exec(
        "head", "-c", "5", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    pidfd = os.pidfd_open(process.pid)
    try:
        process.stdin.write(b"input")
        # The child can only end if it has it, and the loop does not run.
        assert select.select([pidfd], [], [], RECEIVE_SECONDS)[0] == [pidfd]
    finally:
        os.close(pidfd)
    assert await process.stdout.read() == b"input"
    await process.wait()


# ---- others who write to the same file --------------------------------------------------------


@over_each
async def test_what_a_dup_of_the_descriptor_writes_comes_after(made: Callable) -> None:
    async with made() as (transport, peer):
        file = transport.get_extra_info("socket") or transport.get_extra_info("pipe")
        dup = os.dup(file.fileno())
        try:
            for _ in range(3):
                transport.write(b"first, ")
                os.write(dup, b"second; ")
        finally:
            os.close(dup)
        assert receive(peer, 45) == b"first, second; " * 3


@over_each
async def test_what_a_child_writes_that_inherits_it_comes_after(made: Callable) -> None:
    """As a server does that runs a CGI program behind its own status line."""
    async with made() as (transport, peer):
        file = transport.get_extra_info("socket") or transport.get_extra_info("pipe")
        transport.write(b"HTTP/1.0 200 OK\r\n")
        subprocess.run(["echo", "body"], stdout=file.fileno(), check=True)
        assert receive(peer, 22) == b"HTTP/1.0 200 OK\r\nbody\n"


@pytest.mark.parametrize("pair", [tcp_pair, unix_pair])
@pytest.mark.parametrize("sizes", [[1], [1, 1], [100, 10_000, 1]])
async def test_a_shutdown_of_the_socket_cuts_off_nothing(pair: Callable, sizes: list[int]) -> None:
    async with transport_over(pair) as (transport, peer):
        for size in sizes:
            transport.write(payload(size))
        transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
        assert receive_to_the_end(peer) == b"".join(map(payload, sizes))


# ---- the end of the process -------------------------------------------------------------------


PROGRAM = """
import asyncio, importlib, os, pkgutil, socket, sys
loop_name, fd, kind, api, drains, end = sys.argv[1:]

async def main():
    loop = asyncio.get_running_loop()
    if kind == "pipe":
        file = os.fdopen(int(fd), "wb", 0)
        transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, file)
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
    elif kind == "udp":
        sock = socket.socket(fileno=int(fd))
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock)
        transport.write = transport.sendto
        writer = transport
    else:
        sock = socket.socket(fileno=int(fd))
        if api == "transport":
            writer, _ = await loop.create_connection(asyncio.Protocol, sock=sock)
        else:
            _, writer = await importlib.import_module(api).open_connection(sock=sock)
    await asyncio.sleep(0.01)
    writer.write(b"first, ")
    writer.write(b"last")
    if drains == "drain":
        await writer.drain()
    if end == "exit":
        os._exit(0)
    os.execv("/bin/true", ["true"])

with asyncio.Runner(loop_factory=pkgutil.resolve_name(loop_name)) as runner:
    runner.run(main())
"""


def run_to_its_end(fd: int, *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, LOOP_NAME, str(fd), *arguments],
        pass_fds=[fd], check=True, timeout=CHILD_SECONDS,
    )  # fmt: skip


@pytest.mark.parametrize("end", ["exit", "exec"])
@pytest.mark.parametrize("drains", ["drain", "no drain"])
@pytest.mark.parametrize("api", ["asyncio", "zcloop"])
@pytest.mark.parametrize("pair", [tcp_pair, unix_pair])
def test_what_a_stream_wrote_survives_the_process(
    pair: Callable, api: str, drains: str, end: str
) -> None:
    with pair() as (ours, peer):
        run_to_its_end(ours.fileno(), "stream", api, drains, end)
        ours.close()
        assert receive_to_the_end(peer) == b"first, last"


@pytest.mark.parametrize("end", ["exit", "exec"])
@pytest.mark.parametrize("pair", [tcp_pair, unix_pair])
def test_what_a_transport_wrote_survives_the_process(pair: Callable, end: str) -> None:
    with pair() as (ours, peer):
        run_to_its_end(ours.fileno(), "stream", "transport", "no drain", end)
        ours.close()
        assert receive_to_the_end(peer) == b"first, last"


@pytest.mark.parametrize("end", ["exit", "exec"])
@pytest.mark.parametrize("drains", ["drain", "no drain"])
def test_what_was_written_to_a_pipe_survives_the_process(drains: str, end: str) -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as output:
        run_to_its_end(writer, "pipe", "asyncio", drains, end)
        os.close(writer)
        assert output.read() == b"first, last"


@pytest.mark.parametrize("end", ["exit", "exec"])
def test_datagrams_survive_the_process(end: str) -> None:
    with udp_pair() as (ours, peer):
        run_to_its_end(ours.fileno(), "udp", "transport", "no drain", end)
        assert [receive_some(peer), receive_some(peer)] == [b"first, ", b"last"]
