from zcloop._native.kernel.flag cimport flag
from zcloop._native.operation.operation cimport Owner


cdef class Client(Owner):
    cdef readonly int fd            # -1 when it has been closed
    cdef flag owns_fd               # no Python socket does
    cdef flag is_flush_wanted       # in the core's list for the end of this turn

    cdef int flush(self) except -1
