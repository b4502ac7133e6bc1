from zcloop._native.operation.operation cimport Owner


cdef class SocketHolder(Owner):
    cdef object socket          # kept open only by the program
    cdef readonly int fd        # what it was
    cdef list holders           # the core's, of which this is number `index`; None outside
    cdef Py_ssize_t index

    cdef int join(self, list holders) except -1
    cdef int leave(self) except -1
    cdef bint is_closed_underneath(self) noexcept
    cdef int closed_underneath(self) except -1
