from zcloop._native.transport.endpoint cimport Endpoint
from zcloop._native.transport.held cimport Held, HeldItem


cdef class Inlet(Endpoint):
    cdef Held held              # None unless something is held

    cdef int keep(self, object data, object address) except -1
    cdef int keep_end(self) except -1
    cdef int keep_error(self, int errno_) except -1
    cdef int put_back(self, object data) except -1
    cdef Held ensure_held(self)
    cdef int want_delivery(self) except -1
    cdef int drop_held(self) except -1

    # What a kind of transport says of itself.
    cdef bint is_holding_back(self) noexcept    # what is held is to wait
    cdef int deliver_item(self, HeldItem item) except -1
    cdef int deliver_rest(self, object data) except -1      # to whatever protocol there is now
    cdef int fell_behind(self) except -1        # the protocol holds more leases than its quota

    cdef inline bint is_keeping(self) noexcept:
        """Whether what comes is to be held, if only since something older is."""
        return self.held is not None or self.is_paused
