"""A connection of zcloop's streams: both ends, over TCP, a Unix socket or TLS."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from peers import gone, tcp_pair

import zcloop


@contextlib.asynccontextmanager
async def connected(kind: str = "tcp", limit: int = 1 << 16, **more: Any) -> AsyncIterator[Any]:
    """(reader, writer) of the server's end, (reader, writer) of the client's."""
    served: asyncio.Future = asyncio.get_running_loop().create_future()

    def accepted(reader: Any, writer: Any) -> None:
        served.set_result((reader, writer))

    if kind == "unix":
        path = more.pop("path")
        server = await zcloop.start_unix_server(accepted, path, limit=limit)
        client = await zcloop.open_unix_connection(path, limit=limit)
    else:
        tls = more.pop("certificates", None)
        server = await zcloop.start_server(
            accepted, "127.0.0.1", 0, limit=limit, ssl=tls and tls.server_context()
        )
        client = await zcloop.open_connection(
            *server.sockets[0].getsockname(),
            limit=limit,
            ssl=tls and tls.client_context(),
            server_hostname="localhost" if tls else None,
        )
    async with server:
        ours = await served
        try:
            yield ours, client
        finally:
            for _, writer in (ours, client):
                writer.transport.abort()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            await gone(ours[1].transport, client[1].transport)


@contextlib.asynccontextmanager
async def stream_and_peer(limit: int = 1 << 16) -> AsyncIterator[Any]:
    """Yield a reader, a writer, and the raw socket at the other end."""
    with tcp_pair() as (one, peer):
        reader, writer = await zcloop.open_connection(sock=one, limit=limit)
        try:
            yield reader, writer, peer
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            await gone(writer.transport)
