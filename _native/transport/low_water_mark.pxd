from zcloop._native.kernel.flag cimport flag
from zcloop._native.loop.scheduler cimport Scheduler
from zcloop._native.loop.timers cimport TimerHandle


cdef class LowWaterMark:
    cdef Scheduler loop
    cdef int fd
    cdef flag is_raised
    cdef flag is_halted         # to be raised by what comes next
    cdef size_t received        # bytes since `since`, or since it was raised
    cdef size_t enough          # of them, to raise it
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
        self.is_halted = False
        return self.lower() if self.is_raised else 0

cdef LowWaterMark make_low_water_mark(Scheduler loop, int fd)
