from cpython.bytes cimport PyBytes_AS_STRING

from zcloop._native.transport.receiver cimport Receiver


cdef class ReadBuffer(Receiver):
    cdef bytes whole            # all there is, as it was received; else it is in `memory`
    cdef char *memory
    cdef size_t capacity
    cdef size_t start           # of what is unread, in either
    cdef size_t unread          # bytes

    cdef int append(self, bytes data) except -1
    cdef bytes cut(self, size_t count)
    cdef int drop(self, size_t count) except -1
    cdef Py_ssize_t find(self, bytes separator, size_t offset) except -2
    cdef int reserve(self, size_t more) except -1

    cdef inline const char *data(self) noexcept:
        if self.whole is not None:
            return PyBytes_AS_STRING(self.whole) + self.start
        return self.memory + self.start
