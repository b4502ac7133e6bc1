"""loop.sendfile and loop.sock_sendfile, which leave the transport as it was, however they end.

    plain    os.sendfile on the transport's socket, when it is ready. A file that the kernel cannot
             send in this way is read in a thread. Writes are refused meanwhile
    TLS      the file is read in a thread, and written when the transport has room

Reading is paused meanwhile, as with asyncio. A second sendfile on a transport is refused. When a
sendfile is cancelled or fails in the middle, the file's position says how much was sent.

asyncio's own sendfile sends from callbacks: when its task is cancelled the file's position is what
it was at the start. It also puts a protocol of its own in the place of the transport's. That one
then misses or repeats pause_writing() and resume_writing(), and comes back only if the file can
seek.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import socket
import stat
from asyncio import base_events, constants
from collections.abc import AsyncIterator, Iterator
from typing import Any

from zcloop.loop._tls import SSLTransport
from zcloop.loop._transports import StreamTransport

_BLOCK_SIZE = constants.SENDFILE_FALLBACK_READBUFFER_SIZE
_RECORD_SIZE = 16 * 1024  # bytes of a TLS record, which is encrypted by one call
_original: Any = base_events.BaseEventLoop


def _size_of(file: Any) -> int:
    """The file's size in bytes; SendfileNotAvailableError if it is no regular file."""
    try:
        status = os.fstat(file.fileno())
    except (AttributeError, io.UnsupportedOperation, OSError):
        raise asyncio.SendfileNotAvailableError("not a regular file") from None
    if not stat.S_ISREG(status.st_mode):
        raise asyncio.SendfileNotAvailableError("not a regular file")
    return status.st_size


def _start_at(file: Any, offset: int) -> None:
    """Put the file at an offset. A file that cannot seek is read from where it is, at offset 0."""
    if offset:
        file.seek(offset)
    else:
        _leave_at(file, 0)


def _leave_at(file: Any, position: int) -> None:
    """Set the file's position, if it has one and is open: there the sending has ended."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        file.seek(position)


class SendingFiles:
    """The sendfile methods of zcloop.Loop that asyncio's public ones call."""

    _lent_fds: set[int]
    _check_sendfile_params: Any
    _readiness: Any
    sock_sendfile: Any

    # ---- sockets -------------------------------------------------------------------------------

    async def _sock_sendfile_native(
        self, sock: socket.socket, file: Any, offset: int, count: int | None
    ) -> int:
        size = _size_of(file)
        end = size if count is None else min(size, offset + count)
        sent = 0
        before = None  # the last wait for room, which the next one wants to know
        try:
            while (count or size) and sent != count:
                wanted = (count or size + sent) - sent
                try:
                    piece = os.sendfile(sock.fileno(), file.fileno(), offset + sent, wanted)
                except (BlockingIOError, InterruptedError):
                    before = await self._readiness(sock, before, to_write=True)
                    continue
                except OSError as error:
                    if sent:
                        raise
                    raise asyncio.SendfileNotAvailableError("os.sendfile call failed") from error
                if piece == 0:
                    break  # the end of the file
                sent += piece
                if offset + sent < end:
                    before = await self._readiness(sock, before, to_write=True)
                else:
                    await asyncio.sleep(0)  # all is sent; asyncio, too, returns a turn later
            return sent
        finally:
            _leave_at(file, offset + sent)

    async def _sock_sendfile_fallback(
        self, sock: socket.socket, file: Any, offset: int, count: int | None
    ) -> int:
        _start_at(file, offset)
        sent = 0
        before = None
        try:
            while block := await self._read_block(file, sent, count, _BLOCK_SIZE):
                while block:
                    try:
                        piece = sock.send(block)
                    except (BlockingIOError, InterruptedError):
                        before = await self._readiness(sock, before, to_write=True)
                    else:
                        sent += piece
                        block = block[piece:]
            return sent
        finally:
            _leave_at(file, offset + sent)

    async def _read_block(
        self, file: Any, sent: int, count: int | None, size_max: int
    ) -> memoryview:
        """The next bytes of the file, in new memory; none at its end."""
        size = size_max if count is None else min(count - sent, size_max)
        block = memoryview(bytearray(size))
        loop: Any = self
        got: int | None = await loop.run_in_executor(None, file.readinto, block) if size else 0
        return block[: got or 0]

    # ---- transports ----------------------------------------------------------------------------

    async def _sendfile_native(
        self, transp: StreamTransport, file: Any, offset: int, count: int | None
    ) -> int:
        async with self._socket_alone(transp) as sock:
            sent: int = await self.sock_sendfile(sock, file, offset, count, fallback=False)
            return sent

    async def _sendfile_fallback(
        self, transp: Any, file: Any, offset: int, count: int | None
    ) -> int:
        if isinstance(transp, StreamTransport):
            async with self._socket_alone(transp) as sock:
                return await self._sock_sendfile_fallback(sock, file, offset, count)
        if isinstance(transp, SSLTransport):
            return await self._sendfile_encrypted(transp, file, offset, count)
        sent: int = await _original._sendfile_fallback(self, transp, file, offset, count)
        return sent

    async def _sendfile_encrypted(
        self, transp: SSLTransport, file: Any, offset: int, count: int | None
    ) -> int:
        self._check_sendfile_params(transp.get_extra_info("socket"), file, offset, count)
        tls: Any = transp._ssl_protocol
        with tls.sending_file():
            _start_at(file, offset)
            sent = 0
            try:
                while block := await self._read_block(file, sent, count, _RECORD_SIZE):
                    await tls.room()
                    transp.write(block)
                    sent += len(block)
                return sent
            finally:
                _leave_at(file, offset + sent)

    @contextlib.asynccontextmanager
    async def _socket_alone(self, transp: StreamTransport) -> AsyncIterator[socket.socket]:
        """The socket of a transport that has sent what was written, and refuses writes meanwhile.

        ConnectionError if it is closed or loses its connection; RuntimeError if another sendfile is
        in progress.
        """
        drained = transp._make_empty_waiter()
        is_reading = transp.is_reading()
        try:
            transp.pause_reading()
            await drained
            sock = transp._sock
            if sock is None or transp.is_closing():
                # It was closed while its queue was sent.
                raise ConnectionError("Connection is closed")
            with self._lend_fd(transp._sock_fd), _closing_told(sock):
                yield sock
        finally:
            transp._reset_empty_waiter()
            if is_reading:
                transp.resume_reading()

    @contextlib.contextmanager
    def _lend_fd(self, fd: int) -> Iterator[None]:
        """Let sock_* calls use a transport's fd meanwhile."""
        self._lent_fds.add(fd)
        try:
            yield
        finally:
            self._lent_fds.discard(fd)


@contextlib.contextmanager
def _closing_told(sock: socket.socket) -> Iterator[None]:
    """Raise a ConnectionError that says so, not EBADF, if the transport was closed meanwhile."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EBADF and sock.fileno() < 0:
            raise ConnectionError("the transport was closed while a file was sent") from error
        raise
