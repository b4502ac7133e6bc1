cimport cython
from libc.stdint cimport uint32_t

from zcloop._native.operation.operation cimport Operation
from zcloop._native.operation.poll cimport Poll
from zcloop._native.operation.receive_message cimport ReceiveMessage
from zcloop._native.transport.datagram_delivery cimport DatagramDelivery
from zcloop._native.transport.newest cimport Newest


cdef class Datagram(DatagramDelivery):
    cdef ReceiveMessage receive     # None until first used
    cdef Poll read_poll             # for direct receives
    cdef Newest newest              # None unless only the newest are wanted
    cdef Poll newest_poll           # of its eventfd
    cdef bint is_started
    cdef bint is_direct             # a multishot receive was refused
    cdef bint is_segmented          # UDP_GRO is on: a slot may hold several datagrams

    cdef int rested(self) except -1

    @cython.final
    cdef int receive_completed(self, Operation operation, int result, uint32_t flags) except -1
    cdef int ended(self, int result) except -1
    cdef int received(self, unsigned index, int result) except -1
    cdef int receive_directly(self) except -1
    cdef object receive_bytes(self, size_t size, char *name, unsigned *name_size)
    cdef object receive_view(self, size_t size, char *name, unsigned *name_size)
    cdef int update_newest(self) except -1
    cdef int deliver_newest(self) except -1
    cdef int deliver_taken(self, Newest newest) except -1
