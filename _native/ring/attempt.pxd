# What a request asks for, as system calls: one that does not block, or one for a thread.

from libc.stdint cimport uint32_t

from zcloop._native.kernel.uring cimport io_uring_sqe

cdef enum:
    # Answers of an attempt that are no errno.
    NEEDS_THREAD = -0x10001     # the call may block: a thread is to make it
    NEEDS_TIME = -0x10002       # nothing tells when to try again: try again in a moment
    FINAL_EAGAIN = -0x10003     # the request ends with -EAGAIN, as it has asked not to wait

# What a request waits for whose call would block.
cdef struct Wait:
    int fd
    uint32_t mask       # of poll(2)

cdef int attempt(io_uring_sqe *sqe, Wait *wait) noexcept nogil
cdef int perform(io_uring_sqe *sqe) noexcept nogil
cdef int moved(const io_uring_sqe *sqe) noexcept nogil
cdef bint is_ready(const Wait *wait) noexcept nogil
cdef void wait_for_pipe(const io_uring_sqe *sqe, Wait *wait) noexcept nogil
