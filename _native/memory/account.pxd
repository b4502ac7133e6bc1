from libc.stdint cimport uint64_t

# Is called with the GIL, in any thread, when a holder that waits may go on.
ctypedef void (*Relieved)(void *holder) noexcept


cdef class Account:
    cdef void *holder               # the transport, borrowed; NULL once it is gone
    cdef Relieved relieved          # what is called with `holder`
    cdef public str name            # of the holder, for people
    cdef public size_t quota        # bytes that may be held before the holder is paused
    cdef readonly bint is_waiting   # the holder is paused until less is held
    # What is held now.
    cdef readonly size_t held       # bytes of blocks, with their padding
    cdef readonly uint64_t leases   # how many are out
    # Counts since the beginning.
    cdef readonly uint64_t pauses               # times that the holder was paused
    cdef readonly uint64_t lent_bytes           # delivered in place
    cdef readonly uint64_t copied_bytes         # delivered by a copy in user space
    cdef readonly uint64_t starved_bytes        # part of copied_bytes, as no block was free
    cdef readonly uint64_t sent_bytes           # of leases, by a send that copies into the kernel
    cdef readonly uint64_t sent_zero_copy_bytes     # of leases, taken in place by the network
    cdef readonly uint64_t kernel_copied_bytes      # of leases, where the kernel copied after all

    cdef inline bint is_over(self) noexcept:
        return self.held > self.quota

    cdef void charge(self, size_t size) noexcept
    cdef void mark_waiting(self) noexcept
    cdef void credit(self, size_t size) noexcept
    cdef void relieve(self, size_t enough) noexcept
