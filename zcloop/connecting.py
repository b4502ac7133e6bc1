"""create_connection to an address, in few steps; every other kind is the interpreter's own.

The interpreter's resolves, connects and waits in six coroutines and three callbacks. An address
needs no resolution, and over loopback the peer has answered before connect(2) returns.
"""

from __future__ import annotations

import asyncio
from asyncio import base_events
from typing import Any

_socket: Any = base_events.socket  # type: ignore[attr-defined]
_parse: Any = base_events._ipaddr_info  # type: ignore[attr-defined]


class Connecting:
    """create_connection of zcloop.Loop."""

    _debug: bool
    sock_connect: Any
    _connected: Any

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> tuple[Any, Any]:
        """A transport and its protocol, as asyncio's; OSError names the address."""
        found = None
        if type(host) is str and not options and not self._debug:
            found = _parse(host, port, 0, _socket.SOCK_STREAM, 0)
        if found is None:
            ordinary: Any = base_events.BaseEventLoop.create_connection
            made: tuple[Any, Any] = await ordinary(self, protocol_factory, host, port, **options)
            return made
        family, kind, proto, _, address = found
        sock = base_events.socket.socket(  # type: ignore[attr-defined]
            family=family, type=kind, proto=proto
        )
        try:
            sock.setblocking(False)
            await self.sock_connect(sock, address)
            transport, protocol = self._connected(sock, family, protocol_factory())
        except BaseException:
            sock.close()
            raise
        try:
            await asyncio.sleep(0)  # connection_made first
        except BaseException:
            transport.close()
            raise
        return transport, protocol
