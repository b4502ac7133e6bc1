# One io_uring of one thread, or a shared one.

from zcloop._native.ring.ring cimport Ring


cdef class UringRing(Ring):
    cdef unsigned enter_fd              # the registered index, or the fd itself
    cdef unsigned enter_flags
    cdef bint is_registered
