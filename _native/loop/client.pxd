from zcloop._native.kernel.flag cimport flag
from zcloop._native.operation.operation cimport Owner


cdef class Client(Owner):
    cdef readonly int fd            # -1 when it has been closed
    cdef flag owns_fd               # the fd is ours to close; else a Python socket has it
    cdef flag is_flush_wanted       # it is in the loop's Output, and is flushed with this turn

    cdef int flush(self) except -1
