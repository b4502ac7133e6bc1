from libc.stdint cimport uint32_t

from zcloop._native.operation.operation cimport Operation, Owner

cdef enum:
    # What the kernel adds to a mask, and is no readiness by itself: POLLRDHUP, POLLHUP, POLLERR.
    UNREADY = 0x2000 | 0x10 | 0x8


cdef enum:
    POLLEXCLUSIVE = 1 << 28     # of those that wait so it wakes one, and others as ever; since 5.9

cdef class Poll(Operation):
    cdef uint32_t mask
    cdef bint is_multishot      # a completion for each event, until it is cancelled
    cdef bint is_by_edge        # as that to the kernel, but over when what is waited for has come
    cdef uint32_t told          # errors and hang-ups alone, at its last end
    cdef uint32_t known         # by edges: what the first completion tells and the owner knows
    cdef object file            # whose fd it uses, if it is not to be closed before the end
    cdef int found              # by edges: what its end will say; 0: nothing yet

    cdef inline void in_vain(self) noexcept:
        """The owner has tried what it waited for, and waits again: what it was told at the last
        end is no news to it. Without this it would be told again as soon as the poll is armed."""
        self.known = self.told
        self.told = 0

    cdef int attempt(self) noexcept
    cdef bint is_news(self, int result) noexcept
    cdef int conclude(self, int result) noexcept

cdef Poll make_poll(Owner owner, int fd, uint32_t mask)
