from zcloop._native.loop.scheduler cimport Scheduler
from zcloop._native.loop.timers cimport TimerHandle


cdef class LowWaterMark:
    cdef Scheduler loop
    cdef int fd
    cdef bint is_raised
    cdef size_t received        # bytes since `since`
    cdef double since           # loop time
    cdef double read_at         # the last time, while raised
    cdef TimerHandle timer      # while raised

    cdef int note(self, size_t size) except -1
    cdef int lift(self, double now) except -1
    cdef int watch(self) except -1
    cdef int lower(self) except -1

    cdef inline int restart(self) except -1:
        """Something was written that who sends may wait for, or reading ends."""
        self.received = 0
        return self.lower() if self.is_raised else 0

cdef LowWaterMark make_low_water_mark(Scheduler loop, int fd)
