from zcloop._native.kernel.flag cimport flag
from zcloop._native.operation.operation cimport Owner

cdef enum Flush:
    FLUSH_ALONE         # nobody else has output: send at once
    FLUSH_BATCH         # others have: prepare operations for the submission that follows
    FLUSH_LAST          # no submission follows: send at once


cdef class Client(Owner):
    cdef readonly int fd            # -1 when it has been closed
    cdef flag owns_fd               # no Python socket does
    cdef flag is_flush_wanted       # in the core's list for the end of this turn

    cdef bint flush(self, Flush how) except -1
    cdef int flushed(self) except -1
