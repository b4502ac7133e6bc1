cdef class Receiver:
    cdef int receive(self, bytes data) except -1
