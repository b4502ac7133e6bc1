"""create_connection to a numeric address, in few steps; all others are the interpreter's own.

The interpreter's create_connection resolves, connects and waits in six coroutines and three
callbacks. An address needs no resolution, and over loopback the peer has answered before connect(2)
returns.
"""

from __future__ import annotations

import _socket
import contextvars
import socket
import sys
import types
from asyncio import base_events
from collections.abc import Generator
from typing import Any

from zcloop._native.transport.connecting import connect_stream, finish_connecting
from zcloop._native.transport.stream import Stream
from zcloop.loop._transports import StreamTransport

_connect = _socket.socket.connect
_Socket = socket.socket
# Until Python 3.14 a protocol runs in the context that its factory leaves behind.
_IS_CONTEXT_OF_CALLER = sys.version_info >= (3, 15)
_parse: Any = base_events._ipaddr_info  # type: ignore[attr-defined]


@types.coroutine
def _next_turn() -> Generator[None, None, None]:
    """What asyncio.sleep(0) does, in one step less."""
    yield


def _is_guarded() -> bool:
    """Whether the program has replaced what makes or connects a socket, as programs do that forbid
    connections, or redirect them."""
    used: Any = base_events.socket  # type: ignore[attr-defined]
    return used.socket is not _Socket or _Socket.connect is not _connect


def _peer(host: str, port: int) -> tuple[Any, ...]:
    address: tuple[Any, ...] = _parse(host, port, 0, socket.SOCK_STREAM, 0)[4]
    return address


class Connecting:
    """create_connection of zcloop.Loop."""

    _debug: bool
    call_soon: Any

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """Connect, as asyncio's loop does: a transport and its protocol.

        An OSError names the address. Arguments and other errors are those of asyncio.
        """
        stream: Stream | None = None
        if type(host) is str and type(port) is int and not (options or self._debug):
            stream = None if _is_guarded() else connect_stream(self, host, port)  # type: ignore[arg-type]
        if stream is None:
            ordinary: Any = base_events.BaseEventLoop.create_connection
            made: tuple[Any, Any] = await ordinary(self, protocol_factory, host, port, **options)
            return made
        if not stream.has_peer:
            await finish_connecting(stream, _peer(host, port))
        context = contextvars.copy_context() if _IS_CONTEXT_OF_CALLER else None
        try:
            protocol = protocol_factory()
            transport = StreamTransport(stream, protocol, context=context)
        except BaseException:
            stream.drop()
            raise
        self.call_soon(stream.announce)
        try:
            await _next_turn()  # connection_made first
        except BaseException:
            transport.close()
            raise
        return transport, protocol
