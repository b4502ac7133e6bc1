"""A stream over a pipe, a FIFO, a terminal or a socket, by plain reads and writes on readiness.

Only the program's file object closes the fd, once no poll is in flight. Two transports may share
one fd, as those of a terminal do. So the loop's table, which has one transport for each fd, has
none of these.

Rejected: reading on the ring (OP_READ). A read in flight takes what arrives after a close, or
between two runs of the loop, when the pipe is the program's again.
"""

cimport cython
from posix.unistd cimport read, write

from zcloop._native.kernel.limits cimport NEVER
from zcloop._native.kernel.uio cimport iovec, writev
from zcloop._native.transport.lease_holder cimport ZERO_COPY_NEVER
from zcloop._native.transport.stream cimport MAY_JOIN_NEVER


@cython.no_gc_clear     # as of a Stream
cdef class Pipe(Stream):
    def __cinit__(self, core, int fd):
        self.owns_fd = False
        self.zero_copy_mode = ZERO_COPY_NEVER
        self.zero_copy_min = NEVER
        self.may_join = MAY_JOIN_NEVER

    def open(self, face, protocol, pipe):
        """Set who is above, as `attach` does, and the file object that owns the fd."""
        self.pipe = pipe
        self.attach(face, protocol)

    cdef int enter_table(self) except -1:
        return 0        # two transports may share the fd

    def set_protocol(self, protocol):
        Stream.set_protocol(self, protocol)
        self.is_buffered = False        # asyncio's pipes know data_received() alone

    cdef ssize_t receive_some(self, char *memory, size_t size) noexcept:
        return read(self.fd, memory, size)

    cdef ssize_t send_some(self, iovec *vector, unsigned count, bint is_joined) noexcept:
        if count == 1:
            return write(self.fd, vector.iov_base, vector.iov_len)
        return writev(self.fd, vector, count)

    cdef bint is_fd_ours(self) noexcept:
        try:
            return self.pipe.fileno() == self.fd
        except Exception:       # it is closed, and another file may have its number
            return False

    cdef str noun(self):
        return "pipe"

    cdef int take_fd(self) except -1:
        return 0

    cdef int close_fd(self) except -1:
        try:
            self.pipe.close()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.report("Exception in close() of the file of a pipe transport", error)
        return 0
