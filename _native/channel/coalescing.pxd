from libc.stdint cimport int64_t, uint64_t


cdef class Coalescing:
    cdef unsigned limit_us              # no sleep is shorter while there are flows; 0 is off
    cdef unsigned flows                 # that have joined in this epoch
    cdef uint64_t epoch                 # from 1 on
    cdef uint64_t messages              # that flows have brought
    cdef uint64_t messages_then         # when it was last judged
    cdef int64_t then_ns
    cdef readonly uint64_t sleeps       # that were made longer

    cdef uint64_t join(self) noexcept
    cdef void end(self) noexcept
    cdef bint is_worth_it(self) noexcept
