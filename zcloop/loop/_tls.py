"""asyncio's TLS, with native messages, and leases for a ZeroCopyProtocol.

Handshake, shutdown and flow control are those of the interpreter's own SSLProtocol, from which
`TlsProtocol` derives; messages go through `TlsRecords` (_native/transport/tls.pyx). There are three
doors to a `TlsProtocol`:

    Loop._make_ssl_transport    create_connection and asyncio's other makers of connections: TLS
                                over a socket that is connected
    Loop._tls_over              a server: TLS over a native stream that was accepted
    Loop.start_tls              TLS over a transport that the program has used before

The first two make a TlsProtocol themselves. The third is asyncio's coroutine, which makes an
SSLProtocol in its middle, by the global name `sslproto.SSLProtocol`. So `start_tls` here is a
function of asyncio's own code object, with globals in which this name is ours (`_start_tls`).
tests/unit/transport/test_start_tls_of_asyncio.py fails when an interpreter's code asks for more.

Rejected: a start_tls of our own, which would miss what each version of asyncio mends in its own.
TlsProtocol in the place of SSLProtocol in asyncio itself, which other loops of the process would
get, too. A transport that exchanges the SSLProtocol in `set_protocol`, since asyncio's coroutine
returns the transport of the one that it has made.

A protocol that takes leases is read for as a BufferedProtocol is: its buffer is a block of the
stream's memory. The part of the block that stays empty is free again before the protocol gets its
view. Ciphertext is received into memory of SSLProtocol; a transport over its quota receives none.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import types
from asyncio import base_events, sslproto
from collections.abc import Iterator
from typing import Any

from zcloop._native.transport.tls import TlsRecords
from zcloop._native.transport.zero_copy import ZeroCopyProtocol
from zcloop.loop._transports import Lending

_SSLProtocol: Any = sslproto.SSLProtocol  # typeshed has half of it

# The plaintext of one record (RFC 8446, 5.1): so much the decryption may still hold when no
# ciphertext is left.
_RECORD_SIZE = 16 * 1024
# As much as a stream receives at a time without TLS.
_BUFFER_SIZE_MAX = 256 * 1024


def _ignore(_data: Any) -> None:
    """Take what is written after the end, and drop it."""


class SSLTransport(Lending, sslproto._SSLProtocolTransport):
    """The application's transport, which lends memory of the stream below it.

    What it sends is encrypted, and so never without a copy. Not thread-safe, as asyncio's.
    """

    # `write` and `writelines` are bound methods of the protocol: a call less for each message.
    __slots__ = ("write", "writelines")

    _closed = True  # until __init__ is done: asyncio's __del__ asks, also after an interrupt

    def __init__(self, loop: Any, ssl_protocol: TlsProtocol) -> None:
        super().__init__(loop, ssl_protocol)
        self.write = ssl_protocol.write  # type: ignore[method-assign]
        self.writelines = ssl_protocol.writelines  # type: ignore[method-assign]

    def close(self) -> None:
        """Send what is queued, shut TLS down, then call connection_lost(None). Idempotent."""
        super().close()
        if self._ssl_protocol is None:  # it was closed before: asyncio lets go of the connection
            self.write = self.writelines = _ignore  # type: ignore[method-assign, assignment]

    def abort(self) -> None:
        """Drop what is queued, and call connection_lost(None). Idempotent."""
        if self._ssl_protocol is not None:  # otherwise it is over; Python 3.11.2 does not ask
            super().abort()


class TlsProtocol(TlsRecords, _SSLProtocol):  # type: ignore[misc]
    """What is between a stream and an application's protocol: a protocol of the former."""

    max_size = _RECORD_SIZE  # of SSLProtocol's buffer, which only transports of others fill

    _app_transport: Any
    _app_transport_created: bool
    _stream: Any = None
    _buffer: memoryview | None = None  # what the next bytes are decrypted into
    _room: asyncio.Future[None] | None = None  # done when a file that is sent may go on
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
            if self._buffer is not None:  # nothing was decrypted
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
        """Read nothing while a file is sent. RuntimeError if another one is being sent."""
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
        """Wait until the application may write; ConnectionError if nothing can be sent any more."""
        while self._app_writing_paused and self._transport is not None:
            self._room = self._loop.create_future()
            await self._room
        if self._state is not sslproto.SSLProtocolState.WRAPPED:
            # We have closed it, or the peer has ended it: the latter is told when reading goes on.
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
    """What a stream's reader has received and nobody has read. The reader has it no longer."""
    # Where nobody has imported zcloop's streams, the protocol is none of theirs.
    streams: Any = sys.modules.get("zcloop.streams")
    kinds: Any = (asyncio.StreamReaderProtocol,)
    if streams is not None:
        kinds += (streams.StreamReaderProtocol,)
    reader: Any = protocol._stream_reader if isinstance(protocol, kinds) else None
    unread = b""
    if streams is not None and isinstance(reader, streams.StreamReader):
        unread = reader._consume_unread()
    elif isinstance(reader, asyncio.StreamReader):
        unread = bytes(reader._buffer)  # type: ignore[attr-defined]
        reader._buffer.clear()  # type: ignore[attr-defined]
        reader._paused = False  # type: ignore[attr-defined]
    return unread


def _upgrading(
    loop: Any, protocol: Any, sslcontext: Any, waiter: Any, server_side: bool, *more: Any,
    **options: Any,
) -> TlsProtocol:  # fmt: skip
    """The TlsProtocol of a start_tls.

    A client may say hello before its server has called start_tls, for instance right behind a PROXY
    header. Then the hello is in the stream's reader, and the handshake begins with it. Anything
    else that is there fails the handshake, so that no plaintext is taken for what was encrypted.
    A server does not speak first: what a client has not read is plaintext, and stays to be read.
    """
    tls = TlsProtocol(loop, protocol, sslcontext, waiter, server_side, *more, **options)
    if server_side:
        tls._incoming.write(_take_unread(protocol))
    return tls


def _start_tls() -> Any:
    """asyncio's own start_tls, of whichever version, which makes a TlsProtocol.

    The head of this module says why. `FunctionType` takes no closure here: the code has no free
    variables.
    """
    original: Any = base_events.BaseEventLoop.start_tls
    names = {**vars(base_events), "sslproto": types.SimpleNamespace(SSLProtocol=_upgrading)}
    ours = types.FunctionType(original.__code__, names, "start_tls", original.__defaults__)
    ours.__kwdefaults__ = original.__kwdefaults__
    ours.__doc__ = original.__doc__
    return ours


start_tls: Any = _start_tls()
