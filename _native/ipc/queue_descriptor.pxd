# A POSIX message queue that is open: the descriptor, and the system calls on it.

cdef class QueueDescriptor:
    cdef readonly int fd        # -1 once closed
    cdef readonly long maxmsg   # messages that the queue holds
    cdef readonly long msgsize  # bytes of the largest message
    cdef bint is_open
    cdef char *received         # msgsize bytes, used with the GIL held

    # Without waiting: the size or 0, or -errno; -EAGAIN of an empty or full queue.
    cdef ssize_t take(self, char *buffer, size_t size, unsigned *priority) noexcept
    cdef int put(self, const char *data, size_t size, unsigned priority) noexcept
