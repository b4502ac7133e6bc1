"""A file of bytes: a position, what was read ahead of it, and whole reads and writes.

The position is this object's own; the descriptor's moves only where the kernel has to know it
(append, and files with no position, as pipes). So a read that is cancelled has moved nothing, and
what it read ahead is there for the next one. Calls that use the position take their turn in the
order in which they were made; pread and pwrite go beside them.
"""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

from zcloop.files._raw import RawFile, octets_of
from zcloop.loop import Loop

if TYPE_CHECKING:
    from typing_extensions import Buffer

# The least that reading to the end asks for at a time.
REST_MIN = 4096


class _Space:
    """Memory that is read into, then bytes: BytesIO gives what it holds without a copy."""

    def __init__(self, size: int) -> None:
        self._holder = io.BytesIO(bytes(size))
        self.view = self._holder.getbuffer()

    def taken(self, size: int) -> bytes:
        if size < len(self.view):
            return bytes(self.view[:size])
        self.view.release()
        return self._holder.getvalue()


class BinaryFile(RawFile):
    """What zcloop.files.open gives for a binary mode.

    Errors are open()'s: io.UnsupportedOperation for what the mode forbids, ValueError after
    close(), OSError of the system call. Calls that use the position wait for each other.

    A cancelled read has not moved the position, and has lost nothing; a buffer that it was to fill
    may be written to later. A cancelled write may have written a part or all, and not moved the
    position. Buffers are kept until the kernel is done with them, and must not change until then.
    Not thread-safe.
    """

    def __init__(self, loop: Loop, raw: io.FileIO, buffering: int) -> None:
        super().__init__(loop, raw)
        self._is_readable, self._is_writable = raw.readable(), raw.writable()
        self._ahead = bytearray()
        self._ahead_size = 0 if not self._reads_at_once else buffering
        self._turn = asyncio.Lock()
        self._is_seekable = raw.seekable()
        self._position = raw.tell() if self._is_seekable else 0
        self._changes = 0  # of what may have been read ahead: a read that waits begins again

    @property
    def mode(self) -> str:
        return self._raw.mode

    @property
    def position(self) -> int:
        """Where the next read begins; 0 and on for a file that has no position."""
        return self._position

    def seekable(self) -> bool:
        self.fileno()
        return self._is_seekable

    async def __aenter__(self) -> Self:
        self.fileno()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        self.fileno()
        self._check_readable()
        return self

    async def __anext__(self) -> bytes:
        line = await self.readline()
        if not line:
            raise StopAsyncIteration
        return line

    # ---- reading -----------------------------------------------------------------------------

    async def read(self, size: int | None = -1, /) -> bytes:
        """`size` bytes, fewer only at the end of the file; without a size all up to it.

        Opened with buffering=0, what one system call gives.
        """
        self._check_readable()
        async with self._turn:
            if size is None or size < 0:
                return await self._read_rest()
            if size > max(len(self._ahead), self._ahead_size):
                return await self._read_exactly(size)
            while len(self._ahead) < size and await self._fill():
                pass
            return self._take(size)

    async def read1(self, size: int = -1, /) -> bytes:
        """What was read ahead, or what one system call gives; b"" at the end of the file."""
        self._check_readable()
        if size < 0:
            size = self._ahead_size or io.DEFAULT_BUFFER_SIZE
        async with self._turn:
            if self._ahead or size == 0:
                return self._take(size)
            space = _Space(size)
            got = await self._read_at((space.view,), self._offset())
            self._position += got
            return space.taken(got)

    async def readinto(self, buffer: Buffer, /) -> int:
        """Fill a writable buffer, less only at the end of the file; how many bytes came.

        With O_DIRECT or buffering=0 by one system call. For O_DIRECT buffer and position are
        aligned to the disk's blocks, as the memory of a Region is from 4 KiB on.
        """
        self._check_readable()
        with octets_of(buffer) as view:
            if view.readonly:
                raise TypeError("a writable bytes-like object is required")
            async with self._turn:
                return await self._read_into(view)

    async def readv(self, buffers: Iterable[Buffer], /) -> int:
        """Fill several buffers in turn; how many bytes came, as pread has it."""
        self._check_readable()
        pieces = list(buffers)
        async with self._turn:
            if self._ahead and pieces and not self._is_seekable:
                with octets_of(pieces[0]) as view:
                    return self._copy_ahead(view)
            self._ahead.clear()
            got = await self._read_at(pieces, self._offset())
            self._position += got
            return got

    async def readline(self, size: int | None = -1, /) -> bytes:
        """Up to and with the next newline, at most `size` bytes; b"" at the end of the file."""
        self._check_readable()
        most = -1 if size is None else size
        async with self._turn:
            seen = 0
            while (end := self._ahead.find(b"\n", seen) + 1) == 0:
                seen, changes = len(self._ahead), self._changes
                if 0 <= most <= seen or not await self._fill():
                    end = len(self._ahead)
                    break
                if changes != self._changes:
                    seen = 0
            return self._take(end if most < 0 else min(end, most))

    async def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """The lines that are left; with a `hint` until they are more bytes than that."""
        self.fileno()
        lines, total = [], 0
        async for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint < total:
                break
        return lines

    async def pread(self, size: int, offset: int) -> bytes:
        """`size` bytes at `offset`, fewer only at the end of the file; the position stays."""
        self._check_readable()
        self._check_offset(offset)
        space = _Space(size)
        return space.taken(await self._read_at((space.view,), offset))

    async def preadv(self, buffers: Iterable[Buffer], offset: int) -> int:
        """Fill several buffers in turn from `offset`; the position stays."""
        self._check_readable()
        self._check_offset(offset)
        return await self._read_at(list(buffers), offset)

    # ---- writing -----------------------------------------------------------------------------

    async def write(self, data: Buffer, /) -> int:
        """Write all of a buffer, which must not change meanwhile; its size in bytes."""
        self._check_writable()
        with octets_of(data) as octets:
            async with self._turn:
                self._forget_ahead()
                done = 0
                while done < len(octets):
                    done += await self._write_at((octets[done:],), self._write_offset(done))
                self._moved(done)
                return done

    async def writelines(self, lines: Iterable[Buffer], /) -> None:
        """Write several buffers, one after another."""
        for line in lines:
            await self.write(line)

    async def writev(self, buffers: Iterable[Buffer], /) -> int:
        """From several buffers in turn; how many bytes, of a pipe fewer than there are."""
        self._check_writable()
        pieces = list(buffers)
        async with self._turn:
            self._forget_ahead()
            done = await self._write_at(pieces, self._write_offset(0))
            self._moved(done)
            return done

    async def pwrite(self, data: Buffer, offset: int) -> int:
        """Write all of a buffer at `offset`; the position stays."""
        self._check_writable()
        self._check_offset(offset)
        return await self._write_beside((data,), offset)

    async def pwritev(self, buffers: Iterable[Buffer], offset: int) -> int:
        """From several buffers in turn at `offset`; the position stays."""
        self._check_writable()
        self._check_offset(offset)
        return await self._write_beside(list(buffers), offset)

    async def _write_beside(self, buffers: Sequence[Buffer], offset: int) -> int:
        """Without the turn: reads go on meanwhile, and know nothing of it when it is over."""
        self._forget_ahead()
        try:
            return await self._write_at(buffers, offset)
        finally:
            self._forget_ahead()

    async def flush(self) -> None:
        """Nothing is held back; ValueError when the file is closed."""
        self.fileno()

    async def truncate(self, size: int | None = None, /) -> int:
        """Make the file so long, by default up to the position, which stays; the new size."""
        self.fileno()
        self._check_writable("truncate")
        async with self._turn:
            new = self._position if size is None else size
            self._forget_ahead()
            await self._resize(new)
            return new

    # ---- the position ------------------------------------------------------------------------

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position; the new one."""
        self._check_seekable()
        async with self._turn:
            if whence == os.SEEK_CUR:
                offset, whence = self._position + offset, os.SEEK_SET
            if whence != os.SEEK_SET:
                offset = os.lseek(self.fileno(), offset, whence)
            elif offset < 0:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            if 0 <= offset - self._position <= len(self._ahead):
                del self._ahead[: offset - self._position]
            else:
                self._ahead.clear()
            self._position = offset
            return offset

    async def tell(self) -> int:
        """The position."""
        self._check_seekable()
        return self._position

    def _offset(self) -> int:
        return self._position if self._is_seekable else -1

    def _write_offset(self, done: int) -> int:
        return self._position + done if self._is_seekable and not self._is_appending else -1

    def _moved(self, size: int) -> None:
        self._position += size
        if size and self._is_appending and self._is_seekable:
            self._position = os.lseek(self.fileno(), 0, os.SEEK_CUR)

    # ---- what was read ahead -----------------------------------------------------------------

    def _take(self, size: int) -> bytes:
        with memoryview(self._ahead) as ahead:
            taken = bytes(ahead[:size])
        del self._ahead[:size]
        self._position += len(taken)
        return taken

    def _copy_ahead(self, view: memoryview) -> int:
        taken = self._take(len(view))
        view[: len(taken)] = taken
        return len(taken)

    def _keep(self, buffers: Sequence[Buffer], size: int) -> None:
        for view in map(octets_of, buffers):
            self._ahead += view[:size]
            size -= min(size, len(view))

    def _forget_ahead(self) -> None:
        if self._is_seekable:  # of what has no position it cannot be read again
            self._ahead.clear()
            self._changes += 1

    async def _fill(self) -> bool:
        """Read ahead; False at the end of the file."""
        buffer = bytearray(self._ahead_size or 1)
        got = await self._read_behind(buffer)
        self._ahead += buffer if got == len(buffer) else buffer[:got]
        return got > 0

    async def _read_behind(self, buffer: bytearray) -> int:
        """What follows the bytes that were read ahead; all of it from one time."""
        while True:
            changes = self._changes
            offset = self._position + len(self._ahead) if self._is_seekable else -1
            got = await self._read_at((buffer,), offset)
            if changes == self._changes:
                return got

    async def _read_into(self, view: memoryview) -> int:
        """Fill `view`, by what was read ahead at first; the position moves at the end."""
        if not self._is_seekable and self._ahead_size:
            while len(self._ahead) < len(view) and await self._fill():
                pass
            return self._copy_ahead(view)
        ahead = self._ahead[: len(view)]
        view[: len(ahead)] = ahead
        done = len(ahead)
        while done < len(view) and (self._is_seekable or not done):
            offset = self._position + done if self._is_seekable else -1
            got = await self._read_at((view[done:],), offset)
            done += got
            if got == 0 or self._ahead_size == 0:
                break
        del self._ahead[: len(ahead)]
        self._position += done
        return done

    async def _read_exactly(self, size: int) -> bytes:
        space = _Space(size)
        return space.taken(await self._read_into(space.view))

    async def _read_rest(self) -> bytes:
        rest = os.fstat(self.fileno()).st_size - self._position
        while True:
            room = max(rest - len(self._ahead), 0) + 1 if self._is_seekable else REST_MIN
            buffer = bytearray(max(room, REST_MIN))
            got = await self._read_behind(buffer)
            if not got:
                return self._take(len(self._ahead))
            if self._ahead:
                self._ahead += memoryview(buffer)[:got]
            else:
                del buffer[got:]
                self._ahead = buffer

    # ---- what the mode allows ----------------------------------------------------------------

    def _check_readable(self) -> None:
        if not self._is_readable:
            raise io.UnsupportedOperation("read")
        self.fileno()

    def _check_writable(self, name: str = "write") -> None:
        if not self._is_writable:
            raise io.UnsupportedOperation(name)
        self.fileno()

    def _check_seekable(self) -> None:
        if not self.seekable():
            raise io.UnsupportedOperation("File or stream is not seekable.")

    def _check_offset(self, offset: int) -> None:
        """As the system call refuses it; the channel would take -1 for the descriptor's position,
        and read a pipe wherever."""
        if not self._is_seekable:
            raise OSError(errno.ESPIPE, os.strerror(errno.ESPIPE))
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
