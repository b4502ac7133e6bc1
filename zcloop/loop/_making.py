"""Transports, as BaseEventLoop asks for them: of sockets, of TLS, of pipes, and of children.

A connection that this loop accepts needs none of these but TLS: `zcloop/loop/_serving.py`.
"""

from __future__ import annotations

import contextvars
import socket
from asyncio import base_events, constants
from typing import Any

from zcloop._native.transport.datagram import Datagram
from zcloop._native.transport.stream import Stream
from zcloop.loop._pipes import ReadPipeTransport, WritePipeTransport
from zcloop.loop._subprocess import SubprocessTransport, watch_child
from zcloop.loop._tls import TlsProtocol, start_tls
from zcloop.loop._transports import (
    DatagramTransport,
    StreamTransport,
    set_result_unless_cancelled,
)


class MakingTransports:
    """What zcloop.Loop makes of descriptors. Private, but for start_tls."""

    _lent_fds: set[int]
    call_soon: Any
    create_future: Any
    transport_of: Any

    start_tls = start_tls

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        """RuntimeError when the fd is a transport's: its data must not be taken behind its back."""
        number = fd
        if not isinstance(number, int):
            try:
                number = int(number.fileno())
            except (AttributeError, TypeError, ValueError):
                raise ValueError(f"Invalid file object: {fd!r}") from None
        stream = self.transport_of(number)
        if stream is not None and not stream.is_closing() and number not in self._lent_fds:
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {stream.face!r}")

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: Any,
        waiter: Any = None,
        *,
        extra: Any = None,
        server: Any = None,
        context: contextvars.Context | None = None,
    ) -> StreamTransport:
        base_events._set_nodelay(sock)  # type: ignore[attr-defined]
        stream = Stream(self, sock.fileno())  # type: ignore[arg-type]
        transport = StreamTransport(stream, protocol, extra, server, sock, context)
        self.call_soon(protocol.connection_made, transport, context=context)
        self.call_soon(stream.start)
        if waiter is not None:
            self.call_soon(set_result_unless_cancelled, waiter, None)
        return transport

    def _make_ssl_transport(
        self,
        rawsock: socket.socket,
        protocol: Any,
        sslcontext: Any,
        waiter: Any = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: Any = None,
        server: Any = None,
        ssl_handshake_timeout: float | None = constants.SSL_HANDSHAKE_TIMEOUT,
        ssl_shutdown_timeout: float | None = constants.SSL_SHUTDOWN_TIMEOUT,
        context: contextvars.Context | None = None,
    ) -> Any:
        tls = TlsProtocol(
            self, protocol, sslcontext, waiter, server_side, server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )  # fmt: skip
        self._make_socket_transport(rawsock, tls, extra=extra, server=server, context=context)
        return tls._app_transport

    def _tls_over(
        self,
        stream: Stream,
        protocol: Any,
        sslcontext: Any,
        waiter: Any,
        *,
        server_side: bool,
        server: Any,
        **timeouts: Any,
    ) -> Any:
        """TLS on an accepted stream; the handshake begins at once."""
        tls = TlsProtocol(self, protocol, sslcontext, waiter, server_side, None, **timeouts)
        try:
            StreamTransport(stream, tls, None, server)
            stream.announce()
        except BaseException as error:
            # Nobody would end a handshake that has half begun.
            if stream.face is None:
                tls.connection_lost(error)
            else:
                stream.force_close_with(error)
            raise
        return tls._app_transport

    def _make_datagram_transport(
        self,
        sock: socket.socket,
        protocol: Any,
        address: Any = None,
        waiter: Any = None,
        extra: Any = None,
    ) -> DatagramTransport:
        datagram = Datagram(self, sock.fileno())  # type: ignore[arg-type]
        transport = DatagramTransport(datagram, protocol, sock.family, address, extra, sock)
        self.call_soon(protocol.connection_made, transport)
        self.call_soon(datagram.start)
        if waiter is not None:
            self.call_soon(set_result_unless_cancelled, waiter, None)
        return transport

    def _make_read_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return ReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return WritePipeTransport(self, pipe, protocol, waiter, extra)

    async def _make_subprocess_transport(
        self,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **kwargs: Any,
    ) -> Any:
        waiter = self.create_future()
        transport = SubprocessTransport(
            self, protocol, args, shell, stdin, stdout, stderr, bufsize,
            waiter=waiter, extra=extra, **kwargs,
        )  # fmt: skip
        watch_child(self, transport)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport
