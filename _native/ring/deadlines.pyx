"""Requests that wait for a moment in time, and the timer descriptor that tells of the next one.

The requests are a list in the order of their deadlines; of two with the same deadline the one that
was added first comes first. A timerfd(2), which epoll watches like any file, is set to the first
deadline whenever that changes.

Adding looks through the list from its start. A heap would save that, but few requests are timed: a
loop keeps its timers above the ring, and here are timeouts of event channels, and retries.
"""

from libc.errno cimport ENOMEM, errno
from posix.unistd cimport close, read

from zcloop._native.kernel.clock cimport monotonic_ns
from zcloop._native.kernel.epoll cimport (
    CLOCK_MONOTONIC, EPOLLIN, EPOLL_CTL_ADD, TFD_CLOEXEC, TFD_NONBLOCK, timerfd_create,
    zc_epoll_ctl, zc_set_timer,
)
from zcloop._native.ring.pending_request cimport TIMED, WAITING, append_to, remove_from


cdef int open_timer(Deadlines *deadlines, int epoll_fd, uint64_t data) noexcept nogil:
    """Have a timer that epoll reports with `data`: 0 or -errno."""
    deadlines.timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)
    if deadlines.timer_fd < 0:
        return -errno
    if zc_epoll_ctl(epoll_fd, EPOLL_CTL_ADD, deadlines.timer_fd, EPOLLIN, data):
        close_timer(deadlines)
        return -ENOMEM
    return 0


cdef void close_timer(Deadlines *deadlines) noexcept nogil:
    if deadlines.timer_fd >= 0:
        close(deadlines.timer_fd)
        deadlines.timer_fd = -1


cdef void set_timer(Deadlines *deadlines) noexcept nogil:
    # 0 would switch the timer off, so a deadline that is over already is 1 nanosecond.
    cdef Pending *first = deadlines.requests.first
    zc_set_timer(deadlines.timer_fd, 0 if first == NULL else max(first.deadline_ns, 1))


cdef void add_deadline(Deadlines *deadlines, Pending *request, int64_t after_ns) noexcept nogil:
    """The request, which is in no list, waits for so long."""
    cdef Pending *behind = deadlines.requests.first
    request.stage = TIMED
    request.deadline_ns = monotonic_ns() + after_ns
    while behind != NULL and behind.deadline_ns <= request.deadline_ns:
        behind = behind.next
    if behind == NULL:
        append_to(&deadlines.requests, request)
    else:
        request.next = behind
        request.previous = behind.previous
        behind.previous = request
        if request.previous != NULL:
            request.previous.next = request
        else:
            deadlines.requests.first = request
    if deadlines.requests.first == request:
        set_timer(deadlines)


cdef void remove_deadline(Deadlines *deadlines, Pending *request) noexcept nogil:
    """The request is WAITING, and in no list."""
    cdef bint is_first = deadlines.requests.first == request
    remove_from(&deadlines.requests, request)
    request.stage = WAITING
    if is_first:
        set_timer(deadlines)


cdef void clear_timer(Deadlines *deadlines) noexcept nogil:
    """Until it expires again, the timer is not readable."""
    cdef uint64_t count
    read(deadlines.timer_fd, &count, sizeof(count))


cdef Pending *take_expired(Deadlines *deadlines, int64_t now_ns) noexcept nogil:
    """The first request whose deadline is over, removed; NULL when there is none."""
    cdef Pending *first = deadlines.requests.first
    if first == NULL or first.deadline_ns > now_ns:
        return NULL
    remove_deadline(deadlines, first)
    return first
