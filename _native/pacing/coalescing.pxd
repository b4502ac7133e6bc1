cimport cython
from libc.stdint cimport int64_t, uint64_t


@cython.final
cdef class Coalescing:
    cdef public unsigned limit_us       # how long a sleep waits for more; 0 is off
    cdef readonly unsigned flows        # flows that have joined in this epoch
    cdef readonly uint64_t epoch        # from 1 on; a flow of an earlier one has to join again
    cdef readonly uint64_t trial        # number of the trial: one sleep, or several short ones
    cdef unsigned fruitful_flows        # flows that have brought `FEW` in this trial
    cdef int64_t trial_start_ns
    cdef readonly uint64_t sleeps       # sleeps that were made longer

    cpdef uint64_t join(self, int64_t now) noexcept
    cpdef void restart(self) noexcept
    cpdef bint is_kept(self, int64_t now) noexcept
    cdef void begin_trial(self, int64_t now) noexcept
