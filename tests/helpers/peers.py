"""The other side of a connection: raw sockets, servers, and interpreters of their own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from slowness import SLOWNESS

LOOP_NAME = os.environ.get("ZCLOOP_TEST_LOOP", "zcloop:new_event_loop")
SCRIPT_SECONDS = 25 * SLOWNESS
# The kernel may hold back small writes for 250 ms, by itself.
RECEIVE_SECONDS = 5


def payload(size: int, seed: int = 0) -> bytes:
    """Make bytes in which any loss, repetition or exchange of pieces shows."""
    return random.Random(seed).randbytes(size)


@contextlib.contextmanager
def tcp_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected TCP sockets, not blocking."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        one = socket.create_connection(server.getsockname())
        other, _ = server.accept()
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        yield one, other


@contextlib.contextmanager
def unix_pair(kind: int = socket.SOCK_STREAM) -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair(socket.AF_UNIX, kind)
    with one, other:
        one.setblocking(False)
        other.setblocking(False)
        yield one, other


PAIRS = {"tcp": tcp_pair, "unix": unix_pair}


@contextlib.asynccontextmanager
async def connection(
    factory: Callable[[], Any], pair: Callable = tcp_pair
) -> AsyncIterator[tuple[Any, Any, socket.socket]]:
    """Yield a transport, its protocol and the peer's raw socket; all are closed at the end."""
    loop = asyncio.get_running_loop()
    with pair() as (ours, peer):
        transport, protocol = await loop.create_connection(factory, sock=ours)
        try:
            yield transport, protocol, peer
        finally:
            transport.abort()
            await gone(transport)


async def gone(*transports: Any) -> None:
    """Return when the transports' descriptors are closed."""
    for transport in transports:
        while transport.get_extra_info("socket") is not None and (
            transport.get_extra_info("socket").fileno() != -1
        ):
            await asyncio.sleep(0)


async def receive_exactly(sock: socket.socket, size: int) -> bytes:
    received = bytearray()
    while len(received) < size:
        piece = await asyncio.get_running_loop().sock_recv(sock, min(size - len(received), 1 << 18))
        if not piece:
            break
        received += piece
    return bytes(received)


async def receive_all(sock: socket.socket) -> bytes:
    """Receive everything until the end of file."""
    return await receive_exactly(sock, sys.maxsize)


async def io_passed() -> None:
    """Return when the loop has looked for I/O, and found what was there when this was called.

    A byte goes through a socket pair of its own twice; what arrived elsewhere before is older.
    """
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        for _ in range(2):
            other.send(b"x")
            seen = loop.create_future()
            loop.add_reader(one, lambda seen=seen: seen.done() or seen.set_result(None))
            await seen
            one.recv(1)
            loop.remove_reader(one)
            await asyncio.sleep(0)


def receive(sock: socket.socket, size: int) -> bytes:
    """Receive so many bytes, while the loop stands still."""
    sock.settimeout(RECEIVE_SECONDS)
    try:
        received = b""
        while len(received) < size and (piece := sock.recv(min(size - len(received), 1 << 20))):
            received += piece
        return received
    finally:
        sock.setblocking(False)


def receive_to_the_end(sock: socket.socket) -> bytes:
    return receive(sock, sys.maxsize)


def fill(sock: socket.socket) -> int:
    """Send until the socket's buffer is full; return how many bytes it took."""
    size = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            size += sock.send(bytes(65536))
    return size


def reset(sock: socket.socket) -> None:
    """Close a TCP socket so that its peer gets an RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def script(source: str, *arguments: str) -> str:
    """Run a Python program by itself; return its output. It must succeed and write no errors.

    `new_event_loop` of the loop under test, asyncio, os, signal, socket and sys are there.
    """
    module, _, name = LOOP_NAME.partition(":")
    head = (
        f"import asyncio, os, signal, socket, sys\nfrom {module} import {name} as new_event_loop\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-X", "faulthandler", "-c",
         head + textwrap.dedent(source), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SCRIPT_SECONDS,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), f"{done.stdout}\n{done.stderr}"
    return done.stdout
