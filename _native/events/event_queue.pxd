from libc.stdint cimport int64_t, uint64_t

from zcloop._native.events.event cimport Event
from zcloop._native.events.event_request cimport EventRequest
from zcloop._native.events.shared_channel cimport SharedChannel
from zcloop._native.operation.operation cimport Operation


cdef class EventQueue:
    cdef object __weakref__
    cdef SharedChannel channel
    cdef unsigned long owner        # the thread that may ask and take
    cdef unsigned reign             # how many owners there were before it
    cdef object gate                # a lock, held while a thread sleeps in the kernel
    cdef bint is_dropping           # what is beyond the bound goes
    cdef uint64_t beyond            # events beyond the bound, since the last "overflow"
    cdef readonly uint64_t dropped  # in all
    cdef list dropped_requests
    cdef bint is_kernel_asked       # whether its ring can wait for futexes
    cdef EventRequest healer        # a timer, while in flight is what a dead process may hold up

    cdef int check_open(self) except -1
    cdef int check(self) except -1
    cdef int submit_requests(self, list requests, bint is_linked) except -1
    cdef int pin_memory(self, EventRequest request) except -1
    cdef int adapt(self, Operation operation) except -1
    cdef int watch_over(self, Operation operation) except -1
    cdef int heal(self) except -1
    cdef int await_requests(self, list requests) except -1
    cdef Event take_event(self)
    cdef Event event_of(self, Operation operation, int result)
    cdef Event surface(self)
    cdef int drop_visible(self) except -1
    cdef int sleep(self, unsigned count, int64_t timeout_ns) except -1
