from zcloop._native.operation.operation cimport Operation, Owner


cdef class Accept(Operation):
    cdef bint is_multishot

cdef Accept make_accept(Owner owner, int fd, bint is_multishot)
