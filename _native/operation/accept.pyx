"""Accept connections: each completion is a new fd, non-blocking and close-on-exec. Multishot, the
request goes on (since 5.19); otherwise its owner submits it again.

The request ends on an error (-EMFILE among them). A connection that nobody wants any more, because
its listener was closed meanwhile, is closed.
"""

from libc.errno cimport errno
from libc.stdint cimport uint32_t
from posix.unistd cimport close

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport ACCEPT_MULTISHOT, OP_ACCEPT, io_uring_sqe

cdef extern from "<poll.h>" nogil:
    enum:
        POLLIN

cdef extern from * nogil:
    """
    #include <sys/socket.h>
    """
    enum:
        SOCK_CLOEXEC
        SOCK_NONBLOCK
    struct sockaddr:
        pass
    int accept4(int fd, sockaddr *address, unsigned *size, int flags)


cdef Accept make_accept(Owner owner, int fd, bint is_multishot):
    cdef Accept operation = Accept.__new__(Accept)
    operation.owner = owner
    operation.fd = fd
    operation.is_multishot = is_multishot
    return operation


cdef class Accept(Operation):
    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        sqe.opcode = OP_ACCEPT
        if self.is_multishot:
            sqe.ioprio = ACCEPT_MULTISHOT
        sqe.fd = self.fd
        sqe.accept_flags = SOCK_CLOEXEC | SOCK_NONBLOCK

    cdef int attempt(self) noexcept:
        cdef int got = accept4(self.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
        return got if got >= 0 else -errno

    cdef uint32_t readiness(self) noexcept:
        return POLLIN

    cdef void discard(self, int result, uint32_t flags) noexcept:
        if result >= 0:
            close(result)


seal(Accept)
