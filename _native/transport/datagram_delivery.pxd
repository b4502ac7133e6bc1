from zcloop._native.transport.datagram_sender cimport DatagramSender
from zcloop._native.transport.held cimport HeldItem


cdef class DatagramDelivery(DatagramSender):
    cdef bint is_lending            # the protocol is a ZeroCopyDatagramProtocol

    cdef int deliver_segments(self, const char *data, Py_ssize_t size, Py_ssize_t segment,
                              object address) except -1
    cdef int deliver_views(self, object data, Py_ssize_t segment, object address) except -1
    cdef int hold_or_deliver(self, object data, object address) except -1
    cdef int hold_or_deliver_error(self, int errno_) except -1
    cdef int deliver(self, object data, object address) except -1
