# What a request asks for, as system calls: one that does not block, or one for a thread.

from libc.stdint cimport uint32_t

from zcloop._native.kernel.uring cimport io_uring_sqe

cdef enum:
    NEEDS_THREAD = -0x10001     # no errno: only a thread that may block can do it
    NEEDS_TIME = -0x10002       # nothing says when it is worth another attempt: in a moment
    FINAL_EAGAIN = -0x10003     # EAGAIN is the answer

# What an attempt that would block waits for.
cdef struct Wait:
    int fd
    uint32_t mask

cdef int attempt(io_uring_sqe *sqe, Wait *wait) noexcept nogil
cdef int perform(io_uring_sqe *sqe) noexcept nogil
cdef int moved(const io_uring_sqe *sqe) noexcept nogil
cdef bint is_ready(const Wait *wait) noexcept nogil
cdef void wait_for_pipe(const io_uring_sqe *sqe, Wait *wait) noexcept nogil
