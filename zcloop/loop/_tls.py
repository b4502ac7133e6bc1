"""asyncio's TLS, which decrypts into leases for a ZeroCopyProtocol.

Handshake, shutdown and flow control are the interpreter's own, messages are native. A protocol that
takes leases is read for as a BufferedProtocol is: the buffer is a block of the stream's memory, of
which what stays empty is free again before the protocol gets its view. What is received below is
ciphertext in memory of SSLProtocol; a transport over its quota stops reading there.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
from asyncio import base_events, sslproto
from collections.abc import Iterator
from typing import Any

from zcloop._native.streams.stream_input import StreamInput
from zcloop._native.transport.tls import TlsRecords
from zcloop._native.transport.zero_copy import ZeroCopyProtocol
from zcloop.streams import StreamReaderProtocol
from zcloop.loop._transports import Lending

_SSLProtocol: Any = sslproto.SSLProtocol  # typeshed has half of it

# A TLS record: what the decryption may still hold when no ciphertext is left.
_RECORD_SIZE = 16 * 1024
_BUFFER_SIZE_MAX = 256 * 1024


def _ignore(_data: Any) -> None:
    """What is written after the end."""


class SSLTransport(Lending, sslproto._SSLProtocolTransport):
    """What the application writes to and is read for; its memory is that of the stream below."""

    __slots__ = ("write", "writelines")  # the protocol's own bound methods, per message

    _closed = True  # should its making be interrupted; asyncio's __del__ asks

    def __init__(self, loop: Any, ssl_protocol: TlsProtocol) -> None:
        super().__init__(loop, ssl_protocol)
        self.write = ssl_protocol.write  # type: ignore[method-assign]
        self.writelines = ssl_protocol.writelines  # type: ignore[method-assign]

    def close(self) -> None:
        super().close()
        if self._ssl_protocol is None:  # closed again: asyncio lets go of the connection
            self.write = self.writelines = _ignore  # type: ignore[method-assign, assignment]

    def abort(self) -> None:
        if self._ssl_protocol is not None:  # else it is over, which Python 3.11.2 does not ask
            super().abort()


class TlsProtocol(TlsRecords, _SSLProtocol):  # type: ignore[misc]
    """Between a stream and an application's protocol."""

    max_size = _RECORD_SIZE  # of a buffer that only transports other than a stream fill

    _app_transport: Any
    _app_transport_created: bool
    _stream: Any = None
    _buffer: memoryview | None = None  # to be decrypted into
    _room: asyncio.Future[None] | None = None  # who sends a file waits for it
    _is_sending_file = False

    def _get_app_transport(self) -> Any:
        if not self._app_transport_created:
            self._app_transport = SSLTransport(self._loop, self)
            self._app_transport_created = True
        return super()._get_app_transport()

    def _set_app_protocol(self, app_protocol: Any) -> None:
        super()._set_app_protocol(app_protocol)
        if isinstance(app_protocol, ZeroCopyProtocol):
            self._app_protocol_get_buffer = self._take_buffer
            self._app_protocol_buffer_updated = self._lend_buffer
            self._app_protocol_is_buffer = True
            if self._stream is not None:
                self._stream.ensure_lender().account.name = type(app_protocol).__qualname__
        elif self._stream is not None and self._stream.lender is not None:
            self._stream.lender.forgive()  # what another protocol keeps is not its fault

    def connection_made(self, transport: Any) -> None:
        if self._app_transport is None:
            return  # start_tls on a transport that was closing: connection_lost came first
        self._stream = self._app_transport._stream = transport._stream
        if isinstance(self._app_protocol, ZeroCopyProtocol):
            self._stream.ensure_lender().account.name = type(self._app_protocol).__qualname__
        super().connection_made(transport)

    def _do_read__buffered(self) -> None:
        try:
            super()._do_read__buffered()
        finally:
            if self._buffer is not None:  # nothing came
                self._buffer.release()
                self._buffer = None

    def _take_buffer(self, ciphertext_size: int) -> memoryview:
        size = min(max(ciphertext_size, _RECORD_SIZE), _BUFFER_SIZE_MAX)
        self._buffer = self._stream.ensure_lender().take_buffer(size)
        return self._buffer

    def _lend_buffer(self, size: int) -> None:
        buffer, self._buffer = self._buffer, None
        stream = self._stream
        self._app_protocol.buffer_received(stream.ensure_lender().lend_buffer(buffer, size))
        stream.pause_if_over_quota()

    # ---- sending a file ------------------------------------------------------------------------

    @contextlib.contextmanager
    def sending_file(self) -> Iterator[None]:
        """Nothing is read meanwhile. RuntimeError when another file is being sent."""
        if self._is_sending_file:
            raise RuntimeError("unable to send a file; sendfile is in progress")
        is_reading = not self._app_reading_paused
        self._is_sending_file = True
        self._pause_reading()
        try:
            yield
        finally:
            self._is_sending_file = False
            if is_reading and self._transport is not None:
                self._resume_reading()

    async def room(self) -> None:
        """Wait until no more is queued than may be; ConnectionError when nothing can be sent."""
        while self._app_writing_paused and self._transport is not None:
            self._room = self._loop.create_future()
            await self._room
        if self._state is not sslproto.SSLProtocolState.WRAPPED:
            # Closed, or the peer has ended it, which is told only once reading goes on.
            raise ConnectionError("Connection is closed by peer")

    def _tell_room(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _control_app_writing(self) -> None:
        super()._control_app_writing()
        if not self._app_writing_paused:
            self._tell_room()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        self._tell_room()


# ---- start_tls -----------------------------------------------------------------------------------


def _take_unread(protocol: Any) -> bytes:
    """What a stream's reader has and nobody has read: from here on it is another's."""
    is_streams = isinstance(protocol, (asyncio.StreamReaderProtocol, StreamReaderProtocol))
    reader: Any = protocol._stream_reader if is_streams else None
    if isinstance(reader, StreamInput):
        return reader._take_unread()
    if not isinstance(reader, asyncio.StreamReader):
        return b""
    unread = bytes(reader._buffer)  # type: ignore[attr-defined]
    reader._buffer.clear()  # type: ignore[attr-defined]
    reader._paused = False  # type: ignore[attr-defined]
    return unread


def _upgrading(
    loop: Any, protocol: Any, sslcontext: Any, waiter: Any, server_side: bool, *more: Any,
    **options: Any,
) -> TlsProtocol:  # fmt: skip
    """The TlsProtocol of a start_tls. A client may speak before its server has asked for TLS, as
    behind a PROXY header: its hello is in the stream's reader then, and begins the handshake. What
    is no hello fails it, so that nobody's plaintext is taken for what was encrypted. A server
    does not speak first: what a client has unread is plaintext, and stays to be read."""
    tls = TlsProtocol(loop, protocol, sslcontext, waiter, server_side, *more, **options)
    if server_side:
        tls._incoming.write(_take_unread(protocol))
    return tls


def _start_tls() -> Any:
    """asyncio's own start_tls, of whichever version, with TlsProtocol for its SSLProtocol."""
    original: Any = base_events.BaseEventLoop.start_tls
    names = {**vars(base_events), "sslproto": types.SimpleNamespace(SSLProtocol=_upgrading)}
    ours = types.FunctionType(original.__code__, names, "start_tls", original.__defaults__)
    ours.__kwdefaults__ = original.__kwdefaults__
    ours.__doc__ = original.__doc__
    return ours


start_tls: Any = _start_tls()
