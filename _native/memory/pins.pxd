from zcloop._native.memory.region cimport Region
from zcloop._native.ring.ring cimport Ring

cdef enum:
    PINS_MAX = 64           # regions pinned at a time; each lookup walks them


cdef class Pins:
    cdef Ring ring                  # None until a region is pinned
    cdef list regions               # by index: a Region or None
    cdef readonly size_t size       # bytes pinned
    cdef readonly int refused       # errno of the first refusal, after which none is asked

    cdef int pin(self, Ring ring, Region region) except -1
    cdef int index_of(self, Region region) noexcept
    cdef int refuse(self, int errno_, Region region) except -1
    cdef int sweep(self) except -1
    cdef int move_to(self, Ring ring) except -1
    cdef void abandon(self) noexcept
