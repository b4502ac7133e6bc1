# Requests that wait for a moment in time, and the timer descriptor that tells of the next one.

from libc.stdint cimport int64_t, uint64_t

from zcloop._native.ring.pending_request cimport Pending, PendingList

cdef struct Deadlines:
    PendingList requests    # the earliest first
    int timer_fd            # -1 until a request is the first to wait

cdef int open_timer(Deadlines *deadlines, int epoll_fd, uint64_t data) noexcept nogil
cdef void close_timer(Deadlines *deadlines) noexcept nogil
cdef void add_deadline(Deadlines *deadlines, Pending *request, int64_t after_ns) noexcept nogil
cdef void remove_deadline(Deadlines *deadlines, Pending *request) noexcept nogil
cdef void clear_timer(Deadlines *deadlines) noexcept nogil
cdef Pending *take_expired(Deadlines *deadlines, int64_t now_ns) noexcept nogil
