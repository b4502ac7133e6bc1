cimport cython
from libc.stdint cimport int64_t, uint64_t


@cython.final
cdef class Spinning:
    cdef int64_t fixed_ns               # how long to look, as the program has set it
    cdef bint is_adaptive               # the program has set nothing
    cdef uint64_t moved_bytes           # bytes that the loop has moved since it was made
    cdef unsigned distance              # short sleeps in a row from one trial to the next
    cdef unsigned sleeps_left           # short sleeps until the next trial; 0 while it looks
    cdef unsigned first_looks_left      # looks until it measures them
    cdef unsigned looks                 # looks since the last comparison, or since the first looks
    cdef unsigned wins                  # comparisons that looking has won in this trial
    cdef unsigned losses                # comparisons in a row that looking has lost
    cdef unsigned vain_looks            # looks in a row that were in vain
    cdef int64_t cpu_start_ns           # CPU time of the thread when it began to measure
    cdef uint64_t work_start            # work that was done when it began to measure
    cdef double sleep_cost              # CPU ns for a piece of work, of the last measured sleeps
    cdef readonly uint64_t spins        # looks that found a completion
    cdef int64_t looked_ns              # what all looks took, those in vain, too

    cpdef void moved(self, uint64_t total_bytes) noexcept
    cpdef int64_t next_ns(self) noexcept
    cpdef void looked(self, int64_t found_ns, uint64_t completed) noexcept
    cpdef void slept(self, int64_t duration_ns, uint64_t completed) noexcept
    cpdef void restart(self) noexcept
    cdef void compare(self, double cost) noexcept
    cdef void end_trial(self) noexcept
    cdef void measure_from(self, uint64_t completed) noexcept
    cdef double cost(self, uint64_t completed) noexcept
