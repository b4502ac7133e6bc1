"""Whoever has something to do when a turn is over, before the loop waits: push what it wrote."""

from zcloop._native.kernel.sealed cimport seal


cdef class Client(Owner):
    cdef int flush(self) except -1:
        return 0


seal(Client)
