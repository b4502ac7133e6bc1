cimport cython

from zcloop._native.kernel.flag cimport flag


cdef enum HeldKind:
    HELD_DATA           # bytes or a view; of a datagram with its sender
    HELD_END            # the peer's end of file
    HELD_ERROR          # an errno


@cython.final
cdef class HeldItem:
    cdef HeldKind kind
    cdef int errno_             # of HELD_ERROR
    cdef object data            # of HELD_DATA
    cdef object address         # of a datagram's data: who sent it


@cython.final
cdef class Held:
    cdef list items             # HeldItem, oldest first
    cdef flag is_posted         # a callback of the loop will hand them over

    cdef int keep(self, object data, object address) except -1
    cdef int keep_end(self) except -1
    cdef int keep_error(self, int errno_) except -1
    cdef int put_back(self, object data) except -1
    cdef HeldItem pop_oldest(self)
    cdef int drop(self) except -1

    cdef inline bint is_empty(self) noexcept:
        return not self.items
