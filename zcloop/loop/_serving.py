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
    """Serves one listening socket: each connection gets a protocol and a transport.

    When fds or memory run out it stops for a second, as asyncio does, and then goes on.
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
            # What is accepted inherits it, which saves a system call for each connection.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not isinstance(sock.fileno(), int):
            raise ValueError(f"Invalid file object: {sock!r}")
        self._listener = Listener(loop, sock, self._accepted, self._failed)
        self._listener.start()

    def stop(self) -> None:
        """Accept no more. The socket may be closed then, and its port used again. Idempotent."""
        if self._retry is not None:
            self._retry.cancel()
        self._listener.stop()

    def _failed(self, number: int) -> None:
        error = OSError(number, os.strerror(number))
        if number in _OUT_OF_RESOURCES:
            # This is done before the report, which may raise KeyboardInterrupt or call stop().
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
                stream.drop()  # now, not when the traceback is gone that refers to it
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
    # The exception counts as seen: a handshake that failed has closed its connection, and
    # SSLProtocol logs it in debug mode.
    if not waiter.cancelled():
        waiter.exception()
