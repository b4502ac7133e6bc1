from zcloop._native.operation.operation cimport Owner


cdef class SocketHolder(Owner):
    cdef object socket          # the program's, which may close it
    cdef readonly int fd        # of the socket, as it was at first
    cdef list holders           # the loop's list, where this is number `index`; None outside
    cdef Py_ssize_t index

    cdef int join(self, list holders) except -1
    cdef int leave(self) except -1
    cdef bint is_closed_underneath(self) noexcept
    cdef int closed_underneath(self) except -1
