"""What every request has: a token while it is in flight, how it is asked for, what its end means.

`prepare` writes the SQE. Who carries it out is the ring's affair: the kernel, or over epoll
`ring/attempt`, which reads the same SQE.

The user_data of a request is its slot and the slot's generation, never a pointer: a completion
that comes late fails a comparison instead of touching freed memory.
"""

from zcloop._native.kernel.sealed cimport seal


cdef class Owner:
    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        return 0

    cdef bint is_fd_ours(self) noexcept:
        """False when the program closed the fd meanwhile: its number may be another's now."""
        return True


cdef class Operation:
    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        sqe.opcode = 0

    cdef int settle(self, int result) noexcept:
        """What a completion means to who asked: a result, -errno, or NOT_YET.

        Of an operation that waits for a thing which another may take first, the kernel's
        completion only says when to attempt it again.
        """
        return result

    cdef object outcome(self, int result):
        """What who asked is given for a settled result that is no error."""
        return result

    cdef void discard(self, int result, uint32_t flags) noexcept:
        """The completion came, and nobody wants it: close or give back what it carries."""

    cdef object memory(self):
        """Of one that `is_notified`: what the kernel may use until its notification."""
        return None

    cdef int use_thread(self) except -1:
        """Of one that `is_word_wait`: from now on a thread waits in the ring's place. OSError where
        there is no descriptor for it."""
        return 0

    cdef bint heal_words(self) noexcept:
        """Undo what a process left that died holding what this waits for. False: none can; True:
        to be called again every HEAL_MS while it waits."""
        return False


seal(Owner)
seal(Operation)
