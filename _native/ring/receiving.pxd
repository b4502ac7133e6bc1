# Receives that go on: many completions, each with a slot of a buffer ring.

from zcloop._native.ring.buffer_groups cimport BufferGroups
from zcloop._native.ring.pending_request cimport Pending
from zcloop._native.ring.watching cimport WatchingRing


cdef class ReceivingRing(WatchingRing):
    cdef BufferGroups buffer_groups

    cdef void begin_receive(self, Pending *request) noexcept nogil
    cdef void receive_bytes(self, Pending *request) noexcept nogil
    cdef void receive_datagrams(self, Pending *request) noexcept nogil
    cdef void lack_slots(self, Pending *request) noexcept nogil
