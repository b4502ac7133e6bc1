"""Serving: what a listening socket accepts gets a protocol and a transport."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import os
import socket
from asyncio import constants, trsock
from asyncio.log import logger
from typing import Any

from zcloop._native.transport.listener import Listener
from zcloop._native.transport.stream import Stream
from zcloop.loop._transports import StreamTransport

# The kernel frees what a dead process's ring held, a listening socket among it, up to 41 ms after
# the process has been waited for.
_PORT_WAIT_SECONDS = 0.1
_PORT_TRY_SECONDS = 0.005  # from one try to the next: 20 of them at most

# Errors of accept4(2) that pass when other connections end.
_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_INTERNET = (socket.AF_INET, socket.AF_INET6)  # the families of TCP
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


class Serving:
    """create_server of zcloop.Loop, and what BaseEventLoop's servers ask of a loop."""

    _accepting: dict[socket.socket, Accepting]
    _unix_server_sockets: dict[Any, int]
    time: Any

    async def create_server(
        self,
        protocol_factory: Any,
        host: Any = None,
        port: Any = None,
        *,
        reuse_address: bool | None = None,
        **options: Any,
    ) -> asyncio.Server:
        """A server, as asyncio's create_server makes it, with asyncio's arguments and errors.

        An address in use is tried again for 100 ms, since a process that was just killed may still
        have it. Where `reuse_address` is False, OSError is raised at once.
        """
        ordinary: Any = super().create_server  # type: ignore[misc]
        end = self.time() + (_PORT_WAIT_SECONDS if reuse_address in (None, True) else 0)
        while True:
            try:
                server: asyncio.Server = await ordinary(
                    protocol_factory, host, port, reuse_address=reuse_address, **options
                )
                return server
            except OSError as error:
                if error.errno != errno.EADDRINUSE or self.time() >= end:
                    raise
            await asyncio.sleep(_PORT_TRY_SECONDS)

    def _start_serving(
        self,
        protocol_factory: Any,
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        context: contextvars.Context | None = None,
    ) -> None:
        timeouts = {
            "ssl_handshake_timeout": ssl_handshake_timeout,
            "ssl_shutdown_timeout": ssl_shutdown_timeout,
        }
        # Each connection runs in a copy of the context that the listener is made in. Python 3.15
        # gives one, which may be entered already; a copy never is.
        around = contextvars.copy_context() if context is None else context.copy()
        self._accepting[sock] = around.run(
            Accepting, self, protocol_factory, sock, sslcontext, server, timeouts
        )

    def _stop_serving(self, sock: socket.socket) -> None:
        accepting = self._accepting.pop(sock, None)
        if accepting is not None:
            accepting.stop()
        path = inode = None
        if sock in self._unix_server_sockets:
            # Filled by create_unix_server of Python 3.13 and later.
            path, inode = sock.getsockname(), self._unix_server_sockets.pop(sock)
        sock.close()
        if path is not None:
            try:
                if os.stat(path).st_ino == inode:
                    os.unlink(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                logger.error("Unable to clean up listening UNIX socket %r: %r", path, error)
