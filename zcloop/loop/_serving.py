"""From an accepted fd to a protocol: the part of serving that runs once a connection."""

from __future__ import annotations

import errno
import os
import socket
from asyncio import constants, trsock
from typing import Any

from zcloop._native.transport.listener import Listener
from zcloop._native.transport.stream import Stream
from zcloop.loop._transports import StreamTransport

_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_INTERNET = (socket.AF_INET, socket.AF_INET6)
_TCP = (0, socket.IPPROTO_TCP, socket.IPPROTO_MPTCP)  # 0: the family's ordinary one


class Accepting:
    """What one listening socket serves: each connection gets a protocol and a transport.

    Out of fds or memory it backs off for a second, as asyncio does, and then goes on.
    """

    def __init__(
        self,
        loop: Any,
        protocol_factory: Any,
        sock: socket.socket,
        sslcontext: Any,
        server: Any,
        ssl_timeouts: dict[str, float | None],
    ) -> None:
        self._loop = loop
        self._protocol_factory = protocol_factory
        self._sock = sock
        self._sslcontext = sslcontext
        self._server = server
        self._ssl_timeouts = ssl_timeouts
        self._retry: Any = None
        if sock.family in _INTERNET and sock.type == socket.SOCK_STREAM and sock.proto in _TCP:
            # Inherited by what is accepted: no system call a connection.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not isinstance(sock.fileno(), int):
            raise ValueError(f"Invalid file object: {sock!r}")
        self._listener = Listener(loop, sock, self._accepted, self._failed)
        self._listener.start()

    def stop(self) -> None:
        """Accept no more; the socket may be closed and its port reused afterwards."""
        if self._retry is not None:
            self._retry.cancel()
        self._listener.stop()

    def _failed(self, number: int) -> None:
        error = OSError(number, os.strerror(number))
        if number in _OUT_OF_RESOURCES:
            # Before the report, which may raise KeyboardInterrupt or call stop().
            self._retry = self._loop.call_later(constants.ACCEPT_RETRY_DELAY, self._listener.start)
            self._loop.call_exception_handler(
                {
                    "message": "socket.accept() out of system resource",
                    "exception": error,
                    "socket": trsock.TransportSocket(self._sock),
                }
            )
        else:
            self._loop.call_exception_handler(
                {
                    "message": "accepting connections failed, the listener has stopped",
                    "exception": error,
                    "socket": trsock.TransportSocket(self._sock),
                }
            )

    def _accepted(self, stream: Stream) -> None:
        protocol = transport = None
        try:
            protocol = self._protocol_factory()
            if self._sslcontext is None:
                transport = StreamTransport(stream, protocol, None, self._server)
                stream.announce()
            else:
                waiter = self._loop.create_future()
                waiter.add_done_callback(_handshaken)
                transport = self._loop._tls_over(
                    stream, protocol, self._sslcontext, waiter,
                    server_side=True, server=self._server, **self._ssl_timeouts,
                )  # fmt: skip
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            if transport is not None:
                transport.abort()
            elif not stream.is_closing():
                stream.drop()  # now, not when the traceback that holds it is forgotten
            if self._loop.get_debug():
                context = {
                    "message": "Error on transport creation for incoming connection",
                    "exception": error,
                }
                if protocol is not None:
                    context["protocol"] = protocol
                if transport is not None:
                    context["transport"] = transport
                self._loop.call_exception_handler(context)


def _handshaken(waiter: Any) -> None:
    # A failed handshake has closed its connection; SSLProtocol logs it in debug mode.
    if not waiter.cancelled():
        waiter.exception()
