from libc.stdint cimport uint32_t

from zcloop._native.operation.operation cimport Operation, Owner


cdef enum:
    POLLEXCLUSIVE = 1 << 28     # of those that wait so it wakes one, and others as ever; since 5.9

cdef class Poll(Operation):
    cdef uint32_t mask
    cdef bint is_multishot      # a completion for each event, until it is cancelled

cdef Poll make_poll(Owner owner, int fd, uint32_t mask)
