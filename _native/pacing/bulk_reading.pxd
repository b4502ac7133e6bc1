cimport cython
from libc.stdint cimport int64_t

cdef enum Stage:
    SETTLE
    TIME
    REST


@cython.final
@cython.no_gc
cdef class BulkReading:
    cdef readonly bint is_patient       # the way that is taken now; else it is greedy
    cdef bint is_trial                  # of the other way than the one that was the cheaper
    cdef Stage stage
    cdef int64_t left                   # bytes of it
    cdef int64_t rest                   # bytes from one comparison to the next
    cdef int64_t cpu_then               # when this way began to be timed
    cdef int64_t then_ns                # the same; of a trial, when that began
    cdef double cost                    # CPU for a byte, of the way that is not on trial

    cpdef void restart(self) noexcept
    cpdef void advance(self, int64_t cpu_ns, int64_t now) noexcept
    cdef void begin(self, Stage stage, int64_t size) noexcept
    cdef void judge(self, double cost, int64_t now) noexcept
    cdef void end_trial(self, bint is_cheaper) noexcept

    cpdef inline bint note(self, int64_t size) noexcept:
        """So many bytes were read of what pours in; whether a stage is over."""
        self.left -= size
        return self.left <= 0
