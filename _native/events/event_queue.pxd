from libc.stdint cimport int64_t

from zcloop._native.events.event cimport Event
from zcloop._native.events.event_request cimport EventRequest
from zcloop._native.events.healing cimport Healing
from zcloop._native.events.overflow cimport Overflow
from zcloop._native.events.shared_channel cimport SharedChannel
from zcloop._native.operation.operation cimport Operation


cdef class EventQueue:
    cdef object __weakref__
    cdef SharedChannel channel
    cdef Healing healing
    cdef Overflow overflow
    cdef unsigned long owner        # the thread that may submit requests and take events
    cdef unsigned reign             # how many owners there were before this one
    cdef object gate                # a lock, held while a thread sleeps in the kernel
    cdef bint is_kernel_asked       # whether its ring can wait for futexes

    cdef int check_open(self) except -1
    cdef int check(self) except -1
    cdef int submit_requests(self, list requests, bint is_linked) except -1
    cdef int pin_memory(self, EventRequest request) except -1
    cdef int adapt(self, Operation operation) except -1
    cdef int await_requests(self, list requests) except -1
    cdef Event take_event(self)
    cdef Event event_of(self, Operation operation, int result)
    cdef int sleep(self, unsigned count, int64_t timeout_ns) except -1
