"""The end of a pipe that is written to.

Each write goes to the kernel at once, as with asyncio. So what one call writes stays in one piece
among the writes of others (up to PIPE_BUF bytes, pipe(7)), and is one message on a socket that
keeps messages apart. What the pipe has no room for is queued, and leaves by vectored writes when
there is room.

A poll for input is in flight all the time, to learn that there is no reader any more: it ends by an
error when the last reader has closed a pipe, and by an end of file on a socket.
"""

cimport cython
from libc.stdint cimport uint32_t

from asyncio import constants
from asyncio.log import logger

from zcloop._native.kernel.poll cimport POLLIN, POLLRDHUP
from zcloop._native.operation.operation cimport IDLE, Operation
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.transport.pipe cimport is_poll_over
from zcloop._native.transport.stream cimport Stream


@cython.final
@cython.no_gc_clear     # as of a Stream
cdef class PipeWriter(Pipe):
    cdef int arrange_reading(self) except -1:
        """Poll for the end of the reader, unless the transport is closing anyway."""
        if not self.is_started or self.is_closing_:
            return self.stop_reading()
        if self.read_poll is None:
            self.read_poll = make_poll(self, self.fd, POLLIN | POLLRDHUP)
        if self.read_poll.state == IDLE:
            return self.channel.submit(self.read_poll)
        return 0

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        if operation is not self.read_poll:
            return Stream.completed(self, operation, result, flags)
        try:
            if not self.is_closing_:
                if result >= 0:
                    self.reader_ended()
                elif is_poll_over(result):
                    self.fail_writing(-result)
        finally:
            self.rested()
        return 0

    cdef int reader_ended(self) except -1:
        if self.core._debug:
            logger.info("%r was closed by peer", self.face)
        return self.force_close(BrokenPipeError() if self.queued() else None)

    cdef int accept(self, object data) except -1:
        if not self.is_closing_:
            return Stream.accept(self, data)
        if memoryview(data).nbytes == 0:
            return 0
        if self.ignore_write() > <unsigned> constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
            logger.warning("pipe closed by peer or os.write(pipe, data) raised exception.")
        return 0

    def writelines(self, pieces):
        if self.is_closing_:
            self.accept(b"".join(pieces))
        else:
            Stream.writelines(self, pieces)

    def write_eof(self):
        """Close the transport: a pipe cannot be closed for writing alone."""
        self.close()
