from zcloop._native.operation.operation cimport Operation, Owner


cdef class TrySendTo(Operation):
    # Memory of the owner, unchanged until the submission has returned.
    cdef const char *data
    cdef size_t size
    cdef const void *name       # NULL: to the connected peer
    cdef unsigned name_size

cdef TrySendTo make_try_send_to(Owner owner, int fd)
