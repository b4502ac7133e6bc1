from zcloop._native.events.event_request cimport EventRequest
from zcloop._native.events.shared_channel cimport SharedChannel
from zcloop._native.operation.operation cimport Operation


cdef class Healing:
    cdef SharedChannel channel
    cdef EventRequest timer     # in flight while a dead process may hold something up; else None

    cdef int watch(self, Operation operation) except -1
    cdef int expired(self) except -1
    cdef bint is_alone(self) except -1

cdef Healing make_healing(SharedChannel channel)
