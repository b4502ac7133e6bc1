from libc.stdint cimport uint32_t

from zcloop._native.operation.operation cimport Operation, Owner

cdef enum:
    # What the kernel adds to each mask, which is not readiness: POLLRDHUP, POLLHUP, POLLERR.
    UNREADY = 0x2000 | 0x10 | 0x8


cdef enum:
    # Of all that wait with this bit one is woken; io_uring knows it since 5.9 (EPOLLEXCLUSIVE).
    POLLEXCLUSIVE = 1 << 28

cdef class Poll(Operation):
    cdef uint32_t mask
    cdef bint is_multishot      # a completion for each event, until it is cancelled
    cdef bint is_by_edge        # the same to the kernel, but it ends when what it waits for comes
    cdef uint32_t told          # errors and hang-ups that its last result had, and nothing else
    cdef uint32_t known         # by edges: what the first completion will tell and the owner knows
    cdef object file            # the file whose fd it uses, if it must not be closed before the end
    cdef int found              # by edges: the result that its end will have; 0: none yet

    cdef inline void in_vain(self) noexcept:
        """The owner has tried what it waited for, in vain, and waits again. What the last result
        told it is not to be told again as soon as the poll is armed."""
        self.known = self.told
        self.told = 0

    cdef int attempt(self) noexcept
    cdef bint is_news(self, int result) noexcept
    cdef int conclude(self, int result) noexcept

cdef Poll make_poll(Owner owner, int fd, uint32_t mask)
