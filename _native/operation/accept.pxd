from zcloop._native.operation.operation cimport Operation, Owner


cdef class Accept(Operation):
    pass

cdef Accept make_accept(Owner owner, int fd)
