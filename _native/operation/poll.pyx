"""Wait once until an fd is ready: the result is the mask of what it is ready for.

One-shot on purpose. asyncio's add_reader is level-triggered, and a one-shot poll submitted again
after the callback ran is exactly that; a multishot poll is edge-triggered, and reports the data
that the callback is about to read a second time. It is right for the loop's own eventfd, which
nobody reads: each write to it is one completion.
"""

from libc.errno cimport EAGAIN, errno

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport OP_POLL_ADD, POLL_ADD_MULTI, io_uring_sqe

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout)


cdef Poll make_poll(Owner owner, int fd, uint32_t mask):
    cdef Poll operation = Poll.__new__(Poll)
    operation.owner = owner
    operation.fd = fd
    operation.mask = mask
    return operation


cdef class Poll(Operation):
    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        sqe.opcode = OP_POLL_ADD
        sqe.fd = self.fd
        sqe.poll32_events = self.mask
        if self.is_multishot:
            sqe.len = POLL_ADD_MULTI

    cdef int attempt(self) noexcept:
        cdef pollfd one
        one.fd = self.fd
        one.events = self.mask
        one.revents = 0
        cdef int got = poll(&one, 1, 0)
        if got < 0:
            return -errno
        return one.revents if got else -EAGAIN

    cdef uint32_t readiness(self) noexcept:
        return self.mask


seal(Poll)
