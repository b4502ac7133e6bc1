"""Who has small output collected during a turn, and is told before and after its submission.

`flush` returns whether operations were prepared; then the memory stays as it is until `flushed`,
which comes after the submission and before any user code runs. With few clients in a turn there
is no batch to gain from, and a send at once gives the peer the bytes sooner.
"""

from zcloop._native.kernel.sealed cimport seal


cdef class Client(Owner):
    cdef bint flush(self, Flush how) except -1:
        return False

    cdef int flushed(self) except -1:
        return 0


seal(Client)
