"""Streams: asyncio's, native. The same functions, classes, arguments and errors.

They are made of a protocol and work on any asyncio event loop; on zcloop's, bytes go from the
transport to the reader, and from the writer to the transport, without Python in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from zcloop._native.streams import stream_protocol
from zcloop._native.streams.stream_reader import StreamReader
from zcloop._native.streams.stream_writer import StreamWriter

__all__ = [
    "StreamReader",
    "StreamReaderProtocol",
    "StreamWriter",
    "open_connection",
    "open_unix_connection",
    "start_server",
    "start_unix_server",
]

DEFAULT_LIMIT = 2**16


class StreamReaderProtocol(stream_protocol.StreamReaderProtocol, asyncio.Protocol):
    """A protocol that feeds `stream_reader`, on any event loop; asyncio.StreamReaderProtocol.

    With a callback it serves: `client_connected_cb(reader, writer)` is called when the connection
    is made, and a task is made of it if it is a coroutine. It holds the reader until the
    connection is lost.
    """

    __slots__ = ()


ClientConnected = Callable[[StreamReader, StreamWriter], Awaitable[None] | None]


async def open_connection(
    host: str | None = None,
    port: int | str | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    **kwds: Any,
) -> tuple[StreamReader, StreamWriter]:
    """Connect as `loop.create_connection(host, port, **kwds)`; a reader and a writer.

    Raises OSError as that does. `limit` is the reader's.
    """
    loop: Any = asyncio.get_running_loop()
    reader = StreamReader(limit, loop)
    protocol = StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_connection(lambda: protocol, host, port, **kwds)
    return reader, StreamWriter(transport, protocol, reader, loop)


async def open_unix_connection(
    path: Any = None, *, limit: int = DEFAULT_LIMIT, **kwds: Any
) -> tuple[StreamReader, StreamWriter]:
    """As open_connection, to a Unix socket."""
    loop: Any = asyncio.get_running_loop()
    reader = StreamReader(limit, loop)
    protocol = StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.create_unix_connection(lambda: protocol, path, **kwds)
    return reader, StreamWriter(transport, protocol, reader, loop)


async def start_server(
    client_connected_cb: ClientConnected,
    host: Any = None,
    port: int | str | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    **kwds: Any,
) -> asyncio.Server:
    """Serve as `loop.create_server(host, port, **kwds)`.

    `client_connected_cb(reader, writer)` is called for each connection; a coroutine becomes a
    task. What it raises goes to the loop's exception handler and closes the connection.
    """
    loop: Any = asyncio.get_running_loop()
    factory = _protocol_factory(loop, client_connected_cb, limit)
    server: asyncio.Server = await loop.create_server(factory, host, port, **kwds)
    return server


async def start_unix_server(
    client_connected_cb: ClientConnected,
    path: Any = None,
    *,
    limit: int = DEFAULT_LIMIT,
    **kwds: Any,
) -> asyncio.Server:
    """As start_server, on a Unix socket."""
    loop: Any = asyncio.get_running_loop()
    factory = _protocol_factory(loop, client_connected_cb, limit)
    server: asyncio.Server = await loop.create_unix_server(factory, path, **kwds)
    return server


def _protocol_factory(
    loop: asyncio.AbstractEventLoop, client_connected_cb: ClientConnected, limit: int
) -> Callable[[], StreamReaderProtocol]:
    return lambda: StreamReaderProtocol(StreamReader(limit, loop), client_connected_cb, loop)
