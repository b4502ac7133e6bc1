"""The end of a pipe that is read from.

A one-shot poll tells that there is something to read. Then one read takes up to 256 KiB, into the
bytes that the protocol gets or into a block that it is lent.

A pipe holds 64 KiB. A writer that has filled it sleeps until a read makes room, and takes some
microseconds to wake and to write again. In that time a sleep of ours costs more than looking at
the pipe. So after a large read the pipe is polled for up to REFILL_SECONDS, while the loop has
nothing else to do. Each time in vain doubles the number of large reads until the next try, up to
64.

Measured on two virtual CPUs, with a writer that never pauses: polling for 10 us takes 0.6 to 0.9 of
the CPU for a byte that a sleep after each read takes; polling for 20 to 40 us takes 0.6 to 0.75, at
twice the rate.
"""

cimport cython
from libc.stdint cimport uint32_t
from libc.errno cimport EBADF, EIO

from asyncio.log import logger

from zcloop._native.kernel.clock cimport monotonic
from zcloop._native.kernel.poll cimport POLLIN, POLLRDHUP
from zcloop._native.operation.operation cimport IDLE, Operation
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.transport.pipe cimport is_poll_over

# A writer takes about so long to wake and to fill the pipe. A sleep of ours costs half of it.
cdef double REFILL_SECONDS = 30e-6
# Half of what a pipe holds: the writer may have filled it, and be waiting for room.
cdef size_t LARGE_READ_MIN = 32 * 1024
# In a row: 8 full pipes are 512 KiB. Then the loop serves others.
cdef unsigned READS_MAX = 8
# 2 to the power of it, 64, is the longest distance in large reads from one try to the next.
cdef unsigned MISSES_MAX = 6


@cython.final
@cython.no_gc_clear     # as of a Stream
cdef class PipeReader(Pipe):
    cdef int arrange_reading(self) except -1:
        if not self.is_reading_wanted():
            return self.stop_reading()
        if not self.is_fd_ours():
            return self.fail_reading(EBADF)
        if self.read_poll is None:
            self.read_poll = make_poll(self, self.fd, POLLIN | POLLRDHUP)
        if self.read_poll.state == IDLE:
            return self.channel.submit(self.read_poll)
        return 0

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        try:
            if self.is_reading_wanted():
                if result >= 0:
                    self.read_ready()
                elif is_poll_over(result):
                    self.fail_reading(-result)
        finally:    # KeyboardInterrupt ends the run, not the reading
            self.rested()
        return 0

    cdef int read_ready(self) except -1:
        for _ in range(READS_MAX):
            if not self.is_fd_ours():
                return self.fail_reading(EBADF)
            self.last_size = 0
            if self.is_lending:
                self.read_lease()
            else:
                self.read_directly()
            if self.last_size < LARGE_READ_MIN or not self.is_reading_wanted():
                return 0
            if not self.is_refilled():
                return 0
        return 0

    cdef void note_read_size(self, size_t size) noexcept:
        self.last_size = size
        self.core.received_bytes += size

    cdef bint is_refilled(self) noexcept:
        """Wait for the writer while the loop has nothing else to do. Whether it has written."""
        cdef double limit
        if self.skips:
            self.skips -= 1
            return False
        limit = monotonic() + REFILL_SECONDS
        if not self.core.is_idle_until(limit):
            return False
        while self.read_poll.attempt() <= 0:
            if monotonic() >= limit or self.channel.is_pending():
                self.misses = min(self.misses + 1, MISSES_MAX)
                self.skips = 1 << self.misses
                return False
        self.misses = 0
        return True

    cdef int end_of_file(self) except -1:
        """The writer has closed the pipe. Unlike a socket's, the protocol cannot keep it open."""
        if self.core._debug:
            logger.info("%r was closed by peer", self.face)
        self.is_closing_ = True
        self.core.call(self._call_eof_received, (), self.context)
        return self.lose(None)

    def _call_eof_received(self):
        self.protocol.eof_received()

    cdef int protocol_failed(self, object error, str name) except -1:
        self.report(f"Exception in protocol.{name}()", error)
        return 0

    cdef bint is_expected(self, object error) except -1:
        return isinstance(error, OSError) and error.errno == EIO    # a terminal has hung up
