from zcloop._native.operation.operation cimport Owner


cdef class Client(Owner):
    cdef bint is_flush_wanted       # in the core's list for the end of this turn

    cdef int flush(self, bint is_batched) except -1
    cdef int flushed(self) except -1
