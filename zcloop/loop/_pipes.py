"""The two ends of a pipe: real asyncio transports over the native streams of it."""

from __future__ import annotations

import asyncio
import os
import stat
import warnings
from typing import Any

from zcloop._native.transport.pipe_reader import PipeReader
from zcloop._native.transport.pipe_writer import PipeWriter
from zcloop.loop._transports import Lending, set_result_unless_cancelled


def _mode_of(pipe: Any, refusal: str) -> int:
    """The mode of the file, which is made non-blocking; ValueError if it cannot be waited for."""
    mode = os.fstat(pipe.fileno()).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode)):
        raise ValueError(refusal)
    os.set_blocking(pipe.fileno(), False)
    return mode


class _PipeTransport(asyncio.BaseTransport):
    """What both ends have: a file of the program's, and the native stream, which does the work."""

    _pipe: Any = None
    _stream: PipeReader | PipeWriter

    __reduce__ = Lending.__reduce__

    def _open(self, loop: Any, pipe: Any, protocol: Any) -> None:
        self._extra["pipe"] = self._pipe = pipe  # type: ignore[attr-defined]
        self._loop = loop
        self._fileno = pipe.fileno()
        self._stream.open(self, protocol, pipe)
        loop.call_soon(protocol.connection_made, self)

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._pipe is None:
            info.append("closed")
        elif self._stream.is_closing():
            info.append("closing")
        info.append(f"fd={self._fileno}")
        info.append("closed" if self._pipe is None else "open")
        return f"<{' '.join(info)}>"

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if self._pipe is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._drop()

    def _drop(self) -> None:
        """Close the file at once: connection_lost() is not called."""
        self._stream.drop()
        self._pipe = None

    def _lost(self) -> None:
        """The native half calls this when connection_lost() has been called."""
        self._pipe = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Call another protocol from now on, also with what has arrived and was not delivered."""
        self._stream.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that is called now."""
        return self._stream.protocol

    def is_closing(self) -> bool:
        """Whether close() or abort() was called, or the other end was closed."""
        return self._stream.is_closing()

    def close(self) -> None:
        """Send what is queued, call connection_lost(None), then close the file. Idempotent."""
        self._stream.close()


class ReadPipeTransport(Lending, _PipeTransport, asyncio.ReadTransport):
    """A pipe, FIFO, socket or terminal that is read from. Not thread-safe, as asyncio's."""

    _stream: PipeReader

    def __init__(
        self, loop: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> None:
        super().__init__(extra)
        _mode_of(pipe, "Pipe transport is for pipes/sockets only.")
        self._stream = PipeReader(loop, pipe.fileno())
        self._open(loop, pipe, protocol)
        loop.call_soon(self._stream.start)
        if waiter is not None:
            loop.call_soon(set_result_unless_cancelled, waiter, None)

    def is_reading(self) -> bool:
        """Whether data is delivered: the transport is neither paused nor closing."""
        return self._stream.is_reading()

    def pause_reading(self) -> None:
        """Deliver no data from here on until resume_reading(); none is lost."""
        self._stream.pause_reading()

    def resume_reading(self) -> None:
        """Deliver data again, beginning with what arrived during the pause."""
        self._stream.resume_reading()


class WritePipeTransport(_PipeTransport, asyncio.Transport):
    """A pipe, FIFO, socket or terminal that is written to. Not thread-safe, as asyncio's."""

    _stream: PipeWriter

    def __init__(
        self, loop: Any, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> None:
        super().__init__(extra)
        mode = _mode_of(pipe, "Pipe transport is only for pipes, sockets and character devices")
        self._stream = stream = PipeWriter(loop, pipe.fileno())
        # The native half's own bound method: a call less for each write.
        self.write = stream.write  # type: ignore[method-assign]
        self._open(loop, pipe, protocol)
        if not stat.S_ISCHR(mode):  # a device has no reader whose end could be waited for
            loop.call_soon(stream.start)
        if waiter is not None:
            loop.call_soon(set_result_unless_cancelled, waiter, None)

    def writelines(self, list_of_data: Any) -> None:
        """Call write() for each piece of data, and send them by as few system calls as possible."""
        self._stream.writelines(list_of_data)

    def write_eof(self) -> None:
        """Close the transport: a pipe cannot be closed for writing alone."""
        self._stream.write_eof()

    def can_write_eof(self) -> bool:
        """True, since write_eof() does what is asked."""
        return True

    def abort(self) -> None:
        """Drop what is queued, call connection_lost(None), then close the file. Idempotent."""
        self._stream.abort()

    def get_write_buffer_size(self) -> int:
        """How many bytes were accepted and are not yet taken by the kernel."""
        return self._stream.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """The low and the high limit, in bytes."""
        return self._stream.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set with how many queued bytes pause_writing() and resume_writing() are called.

        pause_writing() is called above `high` (64 KiB at first), resume_writing() at `low` and
        below (a quarter of `high` unless it is given). ValueError if high < low, or low < 0.
        """
        self._stream.set_write_buffer_limits(high, low)
