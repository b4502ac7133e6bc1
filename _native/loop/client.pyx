"""Who has small output collected during a turn, and is told before and after its submission.

`flush(is_batched=True)` prepares ONE operation for all that was written in the turn; the memory
stays as it is until `flushed`, which comes after the submission and before any user code runs.
`flush(is_batched=False)` makes the system call at once: with few clients in a turn there is no
batch to gain from, and the peer has the bytes sooner.
"""


cdef class Client(Owner):
    cdef int flush(self, bint is_batched) except -1:
        return 0

    cdef int flushed(self) except -1:
        return 0
