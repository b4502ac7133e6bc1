"""Wait once until an fd is ready: the result is the mask of what it is ready for.

A poll is one-shot. asyncio's add_reader is level-triggered, and a one-shot poll that is submitted
again after the callback ran is exactly that. A multishot poll is edge-triggered, and would report a
second time the data that the callback is about to read. It is right for the loop's own eventfd,
which nobody reads: each write to it is one completion.

io_uring adds POLLRDHUP to every mask, and POLLERR and POLLHUP as poll(2) does. So a one-shot poll
for room ends at once, and again at once when it is submitted again, in three cases: the peer has
sent its last; the socket keeps an error (of a timestamp, say) that nobody takes; a terminal has no
other side. Such a poll waits by edges from then on:

    completion                              one-shot            by edges, with more to come
    something that was asked for            told                cancelled, and told at its end
    an error or a hang-up                   told                as above
    the same again, when it is armed        (is by edges)       ignored
    POLLRDHUP alone, and not asked for      again, by edges     ignored

By edges the kernel tells what there is when the poll is armed, and then each change. So nothing
that comes in between is missed, and nothing that stays is told twice. An error or a hang-up is
ignored under three conditions: the owner has been told of it alone, the owner has tried in vain
since (it says so by `in_vain`; one that was paused has not tried), and poll(2) says that it is
still there when the owner waits again.

Rejected: an epoll instance for each such socket, which the ring would poll in its place. It is
level triggered and saves one completion for each wait, but it costs a descriptor, and a server may
have none left at that moment. Rejected, too: IORING_POLL_ADD_LEVEL without MULTI. It waits for a
change, and would miss what came before it was armed (and 6.18 refuses it).
"""

from libc.errno cimport EAGAIN, errno

from zcloop._native.kernel.poll cimport POLLERR, POLLHUP, POLLNVAL, poll, pollfd
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport OP_POLL_ADD, POLL_ADD_MULTI, io_uring_sqe
from zcloop._native.operation.operation cimport NOT_YET


cdef Poll make_poll(Owner owner, int fd, uint32_t mask):
    cdef Poll operation = Poll.__new__(Poll)
    operation.owner = owner
    operation.fd = fd
    operation.mask = mask
    return operation


cdef class Poll(Operation):
    def __cinit__(self):
        self.is_poll = True

    def holding(self, file):
        """The operation itself. It uses the fd of `file`, which it keeps until the kernel is done,
        so that the file is not closed before."""
        self.file = file
        return self

    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        sqe.opcode = OP_POLL_ADD
        sqe.fd = self.fd
        sqe.poll32_events = self.mask
        if self.is_multishot or self.is_by_edge:
            sqe.len = POLL_ADD_MULTI
        if self.known:      # what has gone meanwhile is not known: if it comes again, that is news
            self.known &= <uint32_t> max(self.attempt(), 0)

    cdef int attempt(self) noexcept:
        """What the file is ready for now, or -EAGAIN when that is nothing of the mask, or -errno.
        """
        cdef pollfd one
        one.fd = self.fd
        one.events = self.mask
        one.revents = 0
        cdef int got = poll(&one, 1, 0)
        if got < 0:
            return -errno
        return one.revents if got else -EAGAIN

    cdef bint is_news(self, int result) noexcept:
        """Whether a completion holds what its owner waits for."""
        cdef uint32_t known = self.known
        self.known = 0
        return <uint32_t> result & (self.mask | POLLERR | POLLHUP | POLLNVAL) & ~known != 0

    cdef int conclude(self, int result) noexcept:
        """The poll has ended: the result for the owner, or NOT_YET if it is to be submitted again
        and to wait by edges."""
        cdef bint is_news = True
        if self.found:
            result = self.found
            self.found = 0
        elif result > 0:
            is_news = self.is_news(result)
        self.told = 0
        if result > 0 and result & ~UNREADY == 0:
            self.is_by_edge = True
            if is_news:
                self.told = result & (POLLERR | POLLHUP)
        return result if is_news else NOT_YET


seal(Poll)
