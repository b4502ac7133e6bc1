from zcloop._native.loop.client cimport Client


cdef class Output:
    cdef list clients       # those with output that the end of this turn pushes, oldest first

    cdef inline bint is_empty(self) noexcept:
        return len(self.clients) == 0

    cdef int add(self, Client client) except -1
    cdef int flush(self) except -1
