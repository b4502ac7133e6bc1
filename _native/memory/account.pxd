from libc.stdint cimport uint64_t

# Called once, with the GIL and on any thread, when enough has come back.
ctypedef void (*Relieved)(void *holder) noexcept


cdef class Account:
    cdef void *holder               # whose it is, borrowed; NULL once that is gone
    cdef Relieved relieved
    cdef readonly bint is_waiting            # the holder is paused until less is held
    cdef public str name            # for people: who holds
    cdef readonly uint64_t pauses   # how often it was
    cdef readonly size_t held       # bytes of blocks, with their padding
    cdef readonly uint64_t leases   # now out
    cdef public size_t quota        # bytes that may be held before the holder is paused
    cdef readonly uint64_t lent_bytes       # delivered in place, since the beginning
    cdef readonly uint64_t copied_bytes     # delivered by a copy in user space
    cdef readonly uint64_t sent_bytes       # from leases, by a send that copies into the kernel
    cdef readonly uint64_t sent_zero_copy_bytes     # that the network stack took in place
    cdef readonly uint64_t kernel_copied_bytes      # sent so, but the kernel had to copy after all
    cdef readonly uint64_t starved_bytes    # of these, for want of a free block

    cdef inline bint is_over(self) noexcept:
        return self.held > self.quota

    cdef void charge(self, size_t size) noexcept
    cdef void wait(self) noexcept
    cdef void credit(self, size_t size) noexcept
    cdef void relieve(self, size_t enough) noexcept
