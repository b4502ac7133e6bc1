from zcloop._native.operation.operation cimport Operation, Owner


cdef class Receive(Operation):
    cdef unsigned group         # the buffer ring to receive into

cdef Receive make_receive(Owner owner, int fd, unsigned group)
