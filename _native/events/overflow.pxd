from libc.stdint cimport uint64_t

from zcloop._native.events.event cimport Event
from zcloop._native.events.healing cimport Healing
from zcloop._native.events.shared_channel cimport SharedChannel


cdef class Overflow:
    cdef SharedChannel channel
    cdef Healing healing
    cdef bint is_dropping       # what is beyond the bound is dropped, not kept
    cdef uint64_t beyond        # events beyond the bound, since the last "overflow"
    cdef uint64_t dropped       # in all
    cdef list requests          # that were dropped, and that nobody has asked for yet

    cdef Event surface(self, object source)
    cdef int drop_visible(self) except -1

cdef Overflow make_overflow(SharedChannel channel, Healing healing, bint is_dropping)
