"""An open file on a loop: system calls at given offsets, none of which makes the loop wait.

A call is first made at once with RWF_NOWAIT, which answers from the page cache or says EAGAIN.
After EAGAIN it is submitted to the channel, and its task waits. A task that got some results at
once lets the others run before it makes its next call. A file of O_DIRECT always goes through the
channel: with O_DIRECT, RWF_NOWAIT waits for the disk all the same.

The descriptor belongs to an io.FileIO, which warns if nobody closes it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import io
import os
import select
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zcloop._native.operation import files, request
from zcloop._native.operation.poll import Poll
from zcloop.loop import Loop

if TYPE_CHECKING:
    from typing_extensions import Buffer

# How much tasks may get at once before the loop runs others. A call counts as 1, and as 1 more for
# each 64 KiB that it moved. 64 small calls take about 0.1 ms, and 4 MiB take less than 1 ms.
IMMEDIATE_MAX = 64
CHARGED_SHIFT = 16  # bytes >> 16: the 64 KiB


class _Immediate(threading.local):
    """How much the tasks of this thread's loop got at once since it last ran others."""

    charged = 0


_immediate = _Immediate()


def octets_of(data: Buffer) -> memoryview:
    """The bytes of any contiguous buffer, without a copy."""
    view = memoryview(data)
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


class Space:
    """Memory that is read into, and then becomes bytes: BytesIO gives its contents uncopied."""

    def __init__(self, size: int) -> None:
        self._holder = io.BytesIO(bytes(size))
        self.view = self._holder.getbuffer()

    def contents(self, size: int) -> bytes:
        """The first `size` bytes, once."""
        if size < len(self.view):
            return bytes(self.view[:size])
        self.view.release()
        return self._holder.getvalue()


def _size_of(buffers: Sequence[Buffer]) -> int:
    return sum(memoryview(buffer).nbytes for buffer in buffers)


def _rest(buffers: Sequence[Buffer], done: int) -> list[memoryview]:
    """The buffers without their first `done` bytes."""
    rest = []
    for view in map(octets_of, buffers):
        if done < len(view):
            rest.append(view[done:])
        done = max(done - len(view), 0)
    return rest


class RawFile:
    """The calls that use no position. Not thread-safe: it belongs to the loop that opened it."""

    def __init__(self, loop: Loop, raw: io.FileIO) -> None:
        status = fcntl.fcntl(raw, fcntl.F_GETFL)
        self._loop = loop
        self._raw = raw
        self._was_submitted = False
        self._fd = raw.fileno()
        self._waits: set[request.Request | Poll] = set()
        self._is_appending = bool(status & os.O_APPEND)
        # Python has the flag where its C library does: musl since 1.2.5.
        self._reads_at_once = hasattr(os, "RWF_NOWAIT") and not status & os.O_DIRECT
        # An append is one call: a part written at once, and the rest later, would be two.
        self._writes_at_once = self._reads_at_once and not self._is_appending

    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<{type(self).__name__} {self.name!r} mode={self._raw.mode!r}{state}>"

    @property
    def name(self) -> object:
        """What was opened: a path, or a descriptor."""
        return self._raw.name

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._fd < 0

    def fileno(self) -> int:
        """The descriptor. ValueError when the file is closed."""
        if self._fd < 0:
            raise ValueError("I/O operation on closed file")
        return self._fd

    def readable(self) -> bool:
        """Whether the mode allows reading. ValueError when the file is closed."""
        self.fileno()
        return self._raw.readable()

    def writable(self) -> bool:
        """Whether the mode allows writing. ValueError when the file is closed."""
        self.fileno()
        return self._raw.writable()

    def isatty(self) -> bool:
        """Whether it is a terminal. ValueError when the file is closed."""
        return os.isatty(self.fileno())

    async def close(self) -> None:
        """Close the descriptor. Idempotent.

        What the kernel has been asked to do by then it does. A task that waits for a pipe, to have
        something or to have room, gets ValueError.
        """
        if self._fd < 0:
            return
        self._fd = -1
        for waiting in self._waits:
            self._loop.cancel_operation(waiting)
        if self._was_submitted:
            # The next file may get this number. So the descriptor is closed when the kernel has
            # every call, also if the closing task is cancelled.
            await asyncio.shield(self._loop.create_task(self._close_after_calls()))
        else:
            self._raw.close()

    async def _close_after_calls(self) -> None:
        try:
            await self._loop.perform(request.nop(self._raw.fileno()))
        finally:
            self._raw.close()

    async def _perform(self, asked: request.Request | Poll) -> int:
        self._was_submitted = True
        result: int = await self._loop.perform(asked.holding(self._raw))
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    async def _wait(self, asked: request.Request | Poll) -> int:
        """Perform what may take for ever, of a pipe or a socket, and what close() ends."""
        self._waits.add(asked)
        try:
            result = await self._perform(asked)
        except OSError:
            self.fileno()
            raise
        finally:
            self._waits.discard(asked)
        return result

    async def _read_at(self, buffers: Sequence[Buffer], offset: int) -> int:
        """How many bytes came, 0 at the end of the file.

        Fewer than asked for come only at the end of the file, or where there is no offset (-1).
        """
        wanted = _size_of(buffers)
        done = await self._read_once(buffers, offset)
        while 0 < done < wanted and offset >= 0:  # the page cache, or the file, had no more
            got = await self._read_once(_rest(buffers, done), offset + done)
            if got == 0:
                break
            done += got
        return done

    async def _read_once(self, buffers: Sequence[Buffer], offset: int) -> int:
        fd = self.fileno()
        while self._reads_at_once:
            if _immediate.charged >= IMMEDIATE_MAX:
                await self._let_others_run()
            try:
                size = os.preadv(fd, buffers, offset, os.RWF_NOWAIT)
            except BlockingIOError:
                if offset >= 0:
                    break
                # Bytes of a pipe are gone once they are read. So the task waits by a poll, and
                # reads itself: the kernel does not read for a task that may be cancelled.
                await self._wait(request.poll(fd, select.POLLIN))
                fd = self.fileno()
            except OSError as error:  # the channel's answer will say what is wrong
                self._reads_at_once = error.errno != errno.EOPNOTSUPP
                break
            else:
                _immediate.charged += 1 + (size >> CHARGED_SHIFT)
                return size
        if len(buffers) == 1:
            asked = files.read(fd, buffers[0], offset)
        else:
            asked = files.readv(fd, buffers, offset)
        if offset >= 0:
            return await self._perform(asked)
        return await self._receive(asked, buffers)

    async def _receive(self, asked: request.Request, buffers: Sequence[Buffer]) -> int:
        """Read from a file without RWF_NOWAIT, such as a named pipe or a terminal.

        What comes for a task that is cancelled is kept for the next read.
        """
        reading: asyncio.Task[int] = self._loop.create_task(self._wait(asked))
        try:
            await asyncio.wait([reading])
        except asyncio.CancelledError:
            self._loop.cancel_operation(asked)
            while not reading.done():  # it ends soon; this task may be cancelled again meanwhile
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([reading])
            if not reading.cancelled() and reading.exception() is None:
                self._keep(buffers, reading.result())
            raise
        return reading.result()

    def _keep(self, buffers: Sequence[Buffer], size: int) -> None:
        """The first `size` bytes have been read, and nobody has got them."""
        raise NotImplementedError

    async def _let_others_run(self) -> None:
        _immediate.charged = 0
        await asyncio.sleep(0)
        self.fileno()  # another may have closed it

    async def _write_at(self, buffers: Sequence[Buffer], offset: int) -> int:
        """How many bytes were written: all of them, unless there is no offset (-1)."""
        wanted = _size_of(buffers)
        done = await self._write_once(buffers, offset)
        while 0 < done < wanted and offset >= 0:
            done += await self._write_once(_rest(buffers, done), offset + done)
        return done

    async def _write_once(self, buffers: Sequence[Buffer], offset: int) -> int:
        fd = self.fileno()
        if self._writes_at_once:
            if _immediate.charged >= IMMEDIATE_MAX:
                await self._let_others_run()
            try:
                size = os.pwritev(fd, buffers, offset, os.RWF_NOWAIT)
            except OSError as error:
                self._writes_at_once = error.errno != errno.EOPNOTSUPP
            else:
                _immediate.charged += 1 + (size >> CHARGED_SHIFT)
                return size
        if len(buffers) == 1:
            asked = files.write(fd, buffers[0], offset)
        else:
            asked = files.writev(fd, buffers, offset)
        return await (self._perform(asked) if offset >= 0 else self._wait(asked))

    async def fsync(self) -> None:
        """Wait until data and metadata are on the disk: fsync(2)."""
        await self._perform(files.fsync(self.fileno()))

    async def fdatasync(self) -> None:
        """Wait until the data, and the metadata that reading it needs, are on the disk."""
        await self._perform(files.fsync(self.fileno(), True))

    async def fallocate(self, mode: int, offset: int, length: int) -> None:
        """Reserve `length` bytes from `offset` on, or punch a hole: `mode` is fallocate(2)'s, 0
        to reserve. OSError as the system call has it."""
        await self._perform(files.fallocate(self.fileno(), mode, offset, length))

    async def stat(self) -> os.stat_result:
        """The status of the file, as os.fstat. The kernel has it in memory for an open file."""
        return os.fstat(self.fileno())

    async def _resize(self, size: int) -> None:
        try:
            await self._perform(files.ftruncate(self.fileno(), size))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            os.ftruncate(self.fileno(), size)  # before Linux 6.9, or a size that is none
