cdef class Receiver:
    cdef bint is_native         # `receive` does what its data_received would do

    cdef int receive(self, bytes data) except -1
