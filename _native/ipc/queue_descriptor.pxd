# A POSIX message queue that is open: the descriptor, and the system calls on it.

cdef class QueueDescriptor:
    cdef readonly int fd        # -1 once closed
    cdef readonly long maxmsg   # messages that the queue holds
    cdef readonly long msgsize  # bytes of the largest message
    cdef bint is_open
    cdef char *received         # what `receive` receives into: msgsize bytes

    # They never wait. The message's size, or 0; or -errno, -EAGAIN for an empty or a full queue.
    cdef ssize_t attempt_receive(self, char *buffer, size_t size, unsigned *priority) noexcept
    cdef int attempt_send(self, const char *data, size_t size, unsigned priority) noexcept
