from zcloop._native.pacing.datagram_flow cimport DatagramFlow
from zcloop._native.transport.address_cache cimport AddressCache
from zcloop._native.transport.datagram_output cimport DatagramOutput


cdef class DatagramSender(DatagramOutput):
    cdef AddressCache addresses
    cdef DatagramFlow flow          # is told of each datagram, in either direction
    cdef object remote              # the address given to create_datagram_endpoint, or None
    cdef bint is_connected

    cdef bint send_at_once(self, object owner, const char *start, size_t size, const char *name,
                           unsigned name_size) except -1
    cdef bint is_worth_zero_copy(self, size_t size, const char *name,
                                 unsigned name_size) except -1
