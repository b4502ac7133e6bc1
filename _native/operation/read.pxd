from zcloop._native.operation.operation cimport Operation, Owner


cdef class Read(Operation):
    cdef char *buffer           # the owner's, alive until the terminal completion
    cdef unsigned size

cdef Read make_read(Owner owner, int fd, char *buffer, unsigned size)
