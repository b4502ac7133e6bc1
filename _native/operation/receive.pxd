from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.operation.operation cimport Operation, Owner


cdef class Receive(Operation):
    pass

cdef Receive make_receive(Owner owner, int fd, BufferRing pool)
