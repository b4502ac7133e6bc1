"""A file of bytes: a position, what was read ahead of it, and whole reads and writes.

The position is this object's own. The descriptor's moves only where the kernel has to know it (for
append, and for files that have no position, such as pipes). So a read that is cancelled has moved
nothing, and what it read ahead is there for the next one. Calls that use the position take turns,
in the order in which they were made; pread and pwrite do not wait for a turn.
"""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Self

from zcloop.files._raw import RawFile, Space, octets_of
from zcloop.loop import Loop

if TYPE_CHECKING:
    from typing_extensions import Buffer

# The least that reading to the end asks for at a time, in bytes: a page.
REST_MIN = 4096


class BinaryFile(RawFile):
    """What zcloop.files.open gives for a binary mode.

    Errors are open()'s: io.UnsupportedOperation for what the mode forbids, ValueError after
    close(), OSError of the system call. Calls that use the position wait for each other.

    A read that is cancelled has not moved the position, and has lost nothing; a buffer that it was
    to fill may be written to later. A write that is cancelled may have written a part or all, and
    has not moved the position. Buffers are kept until the kernel is done with them, and must not
    change until then. Not thread-safe.
    """

    def __init__(self, loop: Loop, raw: io.FileIO, buffering: int) -> None:
        super().__init__(loop, raw)
        self._is_readable, self._is_writable = raw.readable(), raw.writable()
        self._ahead = bytearray()
        self._ahead_size = 0 if not self._reads_at_once else buffering
        self._turn = asyncio.Lock()
        self._is_seekable = raw.seekable()
        self._position = raw.tell() if self._is_seekable else 0
        # Counts what may have changed bytes that were read ahead: a read that waits begins again.
        self._changes = 0

    @property
    def mode(self) -> str:
        """The mode, as the built-in open()'s files say it."""
        return self._raw.mode

    @property
    def position(self) -> int:
        """Where the next read begins; for a file that has none, how many bytes it has passed."""
        return self._position

    def seekable(self) -> bool:
        """Whether the file has a position. ValueError when the file is closed."""
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
        """Read `size` bytes, fewer only at the end of the file; without a size all up to its end.

        A file that was opened with buffering=0 gives what one system call gives.
        """
        self._check_readable()
        async with self._turn:
            if size is None or size < 0:
                return await self._read_rest()
            if size > max(len(self._ahead), self._ahead_size):
                return await self._read_exactly(size)
            while len(self._ahead) < size and await self._fill():
                pass
            return self._consume(size)

    async def read1(self, size: int = -1, /) -> bytes:
        """Read what was read ahead, or what one system call gives; b"" at the end of the file."""
        self._check_readable()
        if size < 0:
            size = self._ahead_size or io.DEFAULT_BUFFER_SIZE
        async with self._turn:
            if self._ahead or size == 0:
                return self._consume(size)
            space = Space(size)
            got = await self._read_at((space.view,), self._offset())
            self._position += got
            return space.contents(got)

    async def readinto(self, buffer: Buffer, /) -> int:
        """Fill a writable buffer, or less at the end of the file; how many bytes came.

        With O_DIRECT or buffering=0 it makes one system call. For O_DIRECT, buffer and position
        must be aligned to the disk's blocks. The memory of a Region is, from 4 KiB on.
        TypeError for a buffer that cannot be written to.
        """
        self._check_readable()
        with octets_of(buffer) as view:
            if view.readonly:
                raise TypeError("a writable bytes-like object is required")
            async with self._turn:
                return await self._read_into(view)

    async def readv(self, buffers: Iterable[Buffer], /) -> int:
        """Fill several writable buffers in turn; how many bytes came. Fewer come only at the end of
        the file, or if it has no position."""
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
        """Read up to and with the next newline, at most `size` bytes; b"" at the file's end."""
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
            return self._consume(end if most < 0 else min(end, most))

    async def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Read the lines that are left; with a `hint`, until they have more bytes than that."""
        self.fileno()
        lines, total = [], 0
        async for line in self:
            lines.append(line)
            total += len(line)
            if hint is not None and 0 < hint < total:
                break
        return lines

    async def pread(self, size: int, offset: int) -> bytes:
        """Read `size` bytes at `offset`, fewer only at the end of the file; the position stays.

        OSError (ESPIPE) for a file that has no position.
        """
        self._check_readable()
        self._check_offset(offset)
        space = Space(size)
        return space.contents(await self._read_at((space.view,), offset))

    async def preadv(self, buffers: Iterable[Buffer], offset: int) -> int:
        """Fill several buffers in turn from `offset` on, as `pread`; how many bytes came."""
        self._check_readable()
        self._check_offset(offset)
        return await self._read_at(list(buffers), offset)

    # ---- writing -----------------------------------------------------------------------------

    async def write(self, data: Buffer, /) -> int:
        """Write all of a buffer, which must not change meanwhile; its size in bytes.

        It is written at the position, or at the end of a file that was opened to append.
        """
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
        """Write several buffers in turn; how many bytes were written. A pipe may take fewer than
        there are."""
        self._check_writable()
        pieces = list(buffers)
        async with self._turn:
            self._forget_ahead()
            done = await self._write_at(pieces, self._write_offset(0))
            self._moved(done)
            return done

    async def pwrite(self, data: Buffer, offset: int) -> int:
        """Write all of a buffer at `offset`, and return its size; the position stays.

        OSError (ESPIPE) for a file that has no position.
        """
        self._check_writable()
        self._check_offset(offset)
        return await self._write_beside((data,), offset)

    async def pwritev(self, buffers: Iterable[Buffer], offset: int) -> int:
        """Write several buffers in turn at `offset`, as `pwrite`; how many bytes were written."""
        self._check_writable()
        self._check_offset(offset)
        return await self._write_beside(list(buffers), offset)

    async def _write_beside(self, buffers: Sequence[Buffer], offset: int) -> int:
        """Write without a turn. A read may run meanwhile: what it reads ahead is forgotten, too."""
        self._forget_ahead()
        try:
            return await self._write_at(buffers, offset)
        finally:
            self._forget_ahead()

    async def flush(self) -> None:
        """Does nothing, since no write is held back. ValueError when the file is closed."""
        self.fileno()

    async def truncate(self, size: int | None = None, /) -> int:
        """Make the file `size` bytes long, by default up to the position, which stays; the size."""
        self.fileno()
        self._check_writable("truncate")
        async with self._turn:
            new = self._position if size is None else size
            self._forget_ahead()
            await self._resize(new)
            return new

    # ---- the position ------------------------------------------------------------------------

    async def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Move the position, as the built-in open()'s files; the new position.

        io.UnsupportedOperation for a file that has no position.
        """
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
        """The position. io.UnsupportedOperation for a file that has none."""
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

    def _consume(self, size: int) -> bytes:
        """Up to `size` bytes of what was read ahead; the position moves behind them."""
        with memoryview(self._ahead) as ahead:
            consumed = bytes(ahead[:size])
        del self._ahead[:size]
        self._position += len(consumed)
        return consumed

    def _copy_ahead(self, view: memoryview) -> int:
        consumed = self._consume(len(view))
        view[: len(consumed)] = consumed
        return len(consumed)

    def _keep(self, buffers: Sequence[Buffer], size: int) -> None:
        for view in map(octets_of, buffers):
            self._ahead += view[:size]
            size -= min(size, len(view))

    def _forget_ahead(self) -> None:
        if self._is_seekable:  # a file without a position cannot give these bytes again
            self._ahead.clear()
            self._changes += 1

    async def _fill(self) -> bool:
        """Read ahead; False at the end of the file."""
        buffer = bytearray(self._ahead_size or 1)
        got = await self._read_behind(buffer)
        self._ahead += buffer if got == len(buffer) else buffer[:got]
        return got > 0

    async def _read_behind(self, buffer: bytearray) -> int:
        """Read what follows the bytes that were read ahead.

        If anything was written meanwhile, it reads again: all bytes are of one moment.
        """
        while True:
            changes = self._changes
            offset = self._position + len(self._ahead) if self._is_seekable else -1
            got = await self._read_at((buffer,), offset)
            if changes == self._changes:
                return got

    async def _read_into(self, view: memoryview) -> int:
        """Fill `view`, at first with what was read ahead. The position moves at the end."""
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
        space = Space(size)
        return space.contents(await self._read_into(space.view))

    async def _read_rest(self) -> bytes:
        rest = os.fstat(self.fileno()).st_size - self._position
        while True:
            room = max(rest - len(self._ahead), 0) + 1 if self._is_seekable else REST_MIN
            buffer = bytearray(max(room, REST_MIN))
            got = await self._read_behind(buffer)
            if not got:
                return self._consume(len(self._ahead))
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
        """Raise what the system call would raise.

        The channel would take -1 for the descriptor's own position, and would read a pipe at any
        offset.
        """
        if not self._is_seekable:
            raise OSError(errno.ESPIPE, os.strerror(errno.ESPIPE))
        if offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
