from cpython.bytes cimport PyBytes_AS_STRING

from zcloop._native.transport.receiver cimport Receiver


cdef class ReadBuffer(Receiver):
    cdef bytes whole            # has all that is unread, as it was received; None: `memory` has it
    cdef char *memory
    cdef size_t capacity        # of `memory`
    cdef size_t start           # where the unread bytes begin, in `whole` or `memory`
    cdef size_t unread          # how many bytes are unread

    cdef int append(self, bytes data) except -1
    cdef bytes cut(self, size_t count)
    cdef int drop(self, size_t count) except -1
    cdef Py_ssize_t find(self, bytes separator, size_t offset) except -2
    cdef int make_room(self, size_t more) except -1

    cdef inline const char *data(self) noexcept:
        if self.whole is not None:
            return PyBytes_AS_STRING(self.whole) + self.start
        return self.memory + self.start
