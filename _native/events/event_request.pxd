from zcloop._native.events.event cimport Event
from zcloop._native.operation.operation cimport Operation, Owner


cdef class EventRequest(Owner):
    cdef readonly object type
    cdef readonly object source
    cdef readonly object data
    cdef readonly bint is_pending   # submitted, and its event has not been taken
    cdef Operation operation        # None once it is over: its memory is free
    cdef bint is_cancelled          # the program has asked for its end
    cdef bint is_linked             # it was submitted as part of a link
    cdef unsigned reign             # of the owner that submitted it

    cdef int begin(self, unsigned reign, bint is_linked) except -1
    cdef int retract(self) except -1
    cdef int settle(self, int result, unsigned reign) noexcept
    cdef Event finish(self, int result)
    cdef int forget(self) except -1

cdef EventRequest make_event_request(object type_, object source, Operation operation, object data)
