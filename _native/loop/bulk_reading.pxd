cimport cython
from libc.stdint cimport int64_t


@cython.final
@cython.no_gc
cdef class BulkReading:
    cdef readonly bint is_patient       # the way that is taken now; else it is greedy
    cdef bint is_trial                  # of the other way than the one that was the cheaper
    cdef bint has_settled
    cdef int64_t left                   # bytes of this stage
    cdef int64_t rest                   # bytes from one comparison to the next
    cdef int64_t cpu_then               # when it had
    cdef int64_t then_ns
    cdef double cost                    # CPU for a byte, of the way that is not on trial

    cpdef void restart(self) noexcept
    cpdef void advance(self, int64_t cpu_ns, int64_t now) noexcept
    cdef void judge(self, double cost) noexcept

    cpdef inline bint note(self, int64_t size) noexcept:
        """So many bytes were read of what pours in; whether a stage is over."""
        self.left -= size
        return self.left <= 0
