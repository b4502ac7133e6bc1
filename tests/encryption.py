"""A TLS connection over loopback: a server's protocol, and its client."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from integration.certificates import Certificates
from recording import Recorder


@contextlib.asynccontextmanager
async def encrypted(
    certificates: Certificates, factory: Callable[[], Any] = Recorder
) -> AsyncIterator[tuple[Any, Recorder]]:
    """A protocol of our own, and the Recorder that is its TLS client."""
    loop = asyncio.get_running_loop()
    made: list[Any] = []
    server = await loop.create_server(
        lambda: made.append(factory()) or made[-1],
        "127.0.0.1",
        0,
        ssl=certificates.server_context(),
    )
    async with server:
        transport, peer = await loop.create_connection(
            Recorder,
            *server.sockets[0].getsockname(),
            ssl=certificates.client_context(),
            server_hostname="localhost",
        )
        (protocol,) = made
        await protocol.until(lambda: protocol.transport is not None)
        try:
            yield protocol, peer
        finally:
            transport.abort()
            protocol.transport.abort()
            await peer.lost()
            await protocol.lost()
