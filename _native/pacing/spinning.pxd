cimport cython
from libc.stdint cimport int64_t, uint64_t


@cython.final
cdef class Spinning:
    cdef int64_t fixed_ns               # what the program has set
    cdef bint is_adaptive               # it has set nothing
    cdef uint64_t moved_bytes
    cdef unsigned sleeps_wanted         # short ones in a row, before it spins again
    cdef unsigned sleeps_left           # of them; 0 while it spins
    cdef unsigned first_looks_left
    cdef unsigned looks                 # after them, or since the last judgement
    cdef unsigned judgements            # that were good
    cdef unsigned doubts                # judgements in a row that were not
    cdef unsigned misses                # in a row
    cdef int64_t cpu_then               # when `work_then` was
    cdef uint64_t work_then
    cdef double asleep_cost             # CPU for a piece of work, of the last sleeps of the row
    cdef readonly uint64_t spins        # waits that found a completion
    cdef int64_t looked_ns              # that they, and those in vain, took

    cpdef void moved(self, uint64_t total_bytes) noexcept
    cpdef int64_t next_ns(self) noexcept
    cpdef void looked(self, int64_t found_ns, uint64_t completed) noexcept
    cpdef void slept(self, int64_t duration_ns, uint64_t completed) noexcept
    cdef void judge(self, double cost) noexcept
    cdef void restart(self) noexcept
    cdef void stop(self) noexcept
    cdef void mark(self, uint64_t completed) noexcept
    cdef double cost(self, uint64_t completed) noexcept
