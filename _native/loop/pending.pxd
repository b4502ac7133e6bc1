from zcloop._native.operation.operation cimport Operation, Owner


cdef class Pending(Owner):
    cdef object future

cdef Pending make_pending(Operation operation, object future)
