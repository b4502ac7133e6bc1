cimport cython
from libc.stdint cimport int64_t

cdef enum Stage:
    WARM_UP         # the way has just changed: nothing is measured yet
    MEASURE         # what the way costs is measured
    KEEP            # the cheaper way is kept until it is doubted


@cython.final
@cython.no_gc
cdef class BulkReading:
    cdef readonly bint is_patient       # the way that is taken now; else it is greedy
    cdef bint is_trial                  # the way that is taken now is not the one that is kept
    cdef Stage stage
    cdef int64_t stage_left             # bytes until the stage is over
    cdef int64_t distance               # bytes from one comparison to the next
    cdef int64_t cpu_start_ns           # CPU time of the thread when it began to measure
    cdef int64_t start_ns               # when the trial began, or the measuring of the kept way
    cdef double kept_cost               # CPU ns for a byte, of the way that is kept

    cpdef void restart(self) noexcept
    cpdef void advance(self, int64_t cpu_ns, int64_t now) noexcept
    cdef void begin(self, Stage stage, int64_t size) noexcept
    cdef void compare(self, double cost, int64_t now) noexcept
    cdef void end_trial(self, bint is_won) noexcept

    cpdef inline bint note(self, int64_t size) noexcept:
        """So many bytes were read of what pours in. Returns whether the stage is over."""
        self.stage_left -= size
        return self.stage_left <= 0
