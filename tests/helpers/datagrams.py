"""Raw sockets that receive datagrams, and endpoints that send to them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from recording import DatagramRecorder


@contextlib.contextmanager
def receiver(
    family: int = socket.AF_INET, protocol: int = 0, *, is_shared: bool = False
) -> Iterator[socket.socket]:
    """A socket that has room for what comes before anybody reads; a shared one is to be bound."""
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
        if is_shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        sock.setblocking(False)
        yield sock


@contextlib.asynccontextmanager
async def endpoint(
    factory: Callable[[], DatagramRecorder] = DatagramRecorder, **options: Any
) -> AsyncIterator[tuple[asyncio.DatagramTransport, DatagramRecorder]]:
    """Make a datagram endpoint and its recorder. The endpoint is aborted at the end."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(factory, **options)
    try:
        yield transport, protocol
    finally:
        transport.abort()
        await protocol.lost()


async def arrived(sock: socket.socket, count: int) -> list[bytes]:
    """Receive the next `count` datagrams of the raw socket."""
    loop = asyncio.get_running_loop()
    return [await loop.sock_recv(sock, 1 << 17) for _ in range(count)]


def nothing_more(sock: socket.socket) -> None:
    """Assert that the raw socket holds no datagram."""
    with pytest.raises(BlockingIOError):
        sock.recv(10)
