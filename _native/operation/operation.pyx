"""What every request has: how it is asked for, a place while it is in flight, what its end means.

`prepare` writes the request into an SQE. Who carries it out is the ring's affair: the kernel, or
over epoll zcloop itself (ring/carrying), which reads the same SQE.

While it is in flight an operation has a slot in its channel's table. Its user_data is that slot and
the slot's generation, never a pointer: a completion that comes late fails a comparison and does not
touch freed memory.
"""

from zcloop._native.kernel.sealed cimport seal


cdef class Owner:
    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        return 0

    cdef bint is_fd_ours(self) noexcept:
        """False when the program has closed the fd: its number may be another file's by now."""
        return True


cdef class Operation:
    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        """Write the request into an SQE that is zeroed; the channel adds the user_data."""
        sqe.opcode = 0

    cdef int settle(self, int result) noexcept:
        """What a completion means to whoever asked: a result, -errno, or NOT_YET.

        An operation may wait for a thing that another process can take first. Then the completion
        only says that it is time to try, and `settle` tries.
        """
        return result

    cdef object outcome(self, int result):
        """The object that whoever asked is given for a settled result that is no error."""
        return result

    cdef void discard(self, int result, uint32_t flags) noexcept:
        """Nobody wants what this completion carries: close it, or give it back. The operation may
        have no slot any more, and be IDLE."""

    cdef object memory(self):
        """What the kernel may use until its notification, if the operation `is_notified`."""
        return None

    cdef int use_thread(self) except -1:
        """From now on a thread waits for the word in the ring's place, which cannot (see
        `is_word_wait`). OSError when no thread or no descriptor for it is to be had."""
        return 0

    cdef bint heal_words(self) noexcept:
        """Put in order the words of memory that a process left which died with the lock that this
        operation waits for. True if it is to be called again each HEAL_MS while the operation
        waits, since such a process may die later; False if none can."""
        return False


seal(Owner)
seal(Operation)
