# System V message queues: the system calls.

cdef struct Message:
    long type
    char[1] data        # as long as the message is

cdef object receive_message(int queue, long type, int flags)
cdef int wait_for_message(int queue, long type, int flags, long *received) noexcept nogil
cdef int send_message(int queue, const Message *message, size_t size, int flags) noexcept nogil
cdef void return_message(int queue, long type) noexcept
