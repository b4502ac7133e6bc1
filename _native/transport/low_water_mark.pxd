from zcloop._native.loop.core cimport Core
from zcloop._native.loop.timers cimport TimerHandle
from zcloop._native.pacing.one_way cimport OneWay


cdef class LowWaterMark(OneWay):
    cdef Core loop
    cdef int fd
    cdef int mark               # bytes, what the kernel made of it; 0 while it is not raised
    cdef TimerHandle timer      # while it is raised: looks for a halt

    cdef void note(self, size_t size) noexcept
    cdef void note_one_way(self, size_t size) noexcept
    cdef void follow(self) noexcept
    cdef int lift(self) except -1
    cdef int watch(self) except -1
    cpdef int lower(self) except -1
    cdef int restart(self) except -1

cdef LowWaterMark make_low_water_mark(Core loop, int fd)
