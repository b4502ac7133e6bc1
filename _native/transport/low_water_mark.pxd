from zcloop._native.loop.core cimport Core
from zcloop._native.loop.timers cimport TimerHandle


cdef class LowWaterMark:
    cdef Core loop
    cdef int fd
    cdef bint is_one_way        # one way, and fast
    cdef int high               # what the kernel made of it, while raised; 0 else
    cdef size_t received        # bytes since `since`, or since it was one way
    cdef size_t enough          # of them, to raise it
    cdef double since           # loop time
    cdef double read_at         # the last time, while it is one way
    cdef TimerHandle timer      # while raised

    cdef void note(self, size_t size) noexcept
    cdef void note_one_way(self, size_t size) noexcept
    cdef void follow(self) noexcept
    cdef void halted(self) noexcept
    cdef int lift(self, double now) except -1
    cdef int watch(self) except -1
    cpdef int lower(self) except -1
    cdef int restart(self) except -1

cdef LowWaterMark make_low_water_mark(Core loop, int fd)
