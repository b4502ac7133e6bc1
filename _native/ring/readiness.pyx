"""A ring without io_uring: zcloop carries requests out itself, by epoll and a few threads.

`enter` takes the requests (SQEs), asks epoll which files are ready, and completes what can be done
by system calls that do not block. Results are those of io_uring, so code above need not know which
ring it has. The ring is a chain of classes, each with one job, that know only those before them:

    Ring             what every ring is (ring.pyx)
    LocalRing        the two ends: requests come in, results go out, chains, overflow (local.pyx)
    WatchingRing     which fd is registered with epoll, for what, and who is told (watching.pyx)
    ReceivingRing    multishot receives into buffer rings (receiving.pyx)
    CarryingRing     how each request is carried out, and cancelled (carrying.pyx)
    ReadinessRing    when: entering, and waiting until enough has completed (this file)
    PumpedRing       the same in a thread of its own, for event channels (pumped.pyx)

Beside them are data with functions of their own: `pending_request`, `deadlines` (requests that
wait for a time), `jobs` (requests that threads have), `buffer_groups`, and `attempt`, which makes
the system calls.

Everything is C memory, and no Python runs here: other threads of the program may run meanwhile, and
none of its code comes in between. A ring is one thread's; PumpedRing is one that is shared.

Rejected: a channel that calls the operations' methods when their files are ready. It would have had
to repeat, above this line, what a ring promises: chains, cancelling, overflow, notifications,
parking. With the cut at the two queues all of that has one text, tested against the real kernel.
Rejected, too: an object for each of the classes above. A call from one to another would follow one
pointer more, for each message; and when a ring ends, Python lets go of a class's objects before the
base class closes the ring.
"""

from libc.errno cimport EINTR
from libc.stdint cimport uint64_t

from zcloop._native.kernel.atomics cimport load_relaxed, store_release
from zcloop._native.kernel.clock cimport monotonic_ns
from zcloop._native.kernel.epoll cimport zc_data, zc_epoll_wait, zc_events
from zcloop._native.kernel.errors cimport ETIME
from zcloop._native.kernel.uring cimport SQ_TASKRUN, io_uring_getevents_arg, kernel_timespec
from zcloop._native.ring.jobs cimport CALL_OUT_NS, call_again
from zcloop._native.ring.watching cimport INBOX_DATA, TIMER_DATA

cdef enum:
    EVENTS_MAX = 64     # of one epoll_wait; they stand on the stack
# A full answer is followed by another epoll_wait, up to so many events, as libuv does. Otherwise
# files that epoll has at the end of its list would wait for another turn.
cdef int EVENTS_AT_ONCE_MAX = 1024
# A loop that always has callbacks ready asks epoll at most so often, since that is a system call
# which would be added to each turn.
cdef int64_t LOOK_EVERY_NS = 20_000


cdef class ReadinessRing(CarryingRing):
    def __cinit__(self, unsigned entries, unsigned cq_entries, bint is_shared=False):
        self.backend = "epoll"

    def abandon(self):
        """In a forked child: the epoll instance is the parent's, and is not touched. Closes our
        copies of the other descriptors, and frees the memory but for what threads worked on."""
        if self.is_open:
            self.is_open = False
            self.uring.ring_fd = self.epoll_fd = -1
            CarryingRing.free_queues(self)

    cdef void free_queues(self) noexcept nogil:
        """End all requests. Those that threads have are waited for."""
        self.cancel_all()
        while self.jobs.count:
            self.ask_epoll(CALL_OUT_NS)
        CarryingRing.free_queues(self)

    # ---- what is ready ---------------------------------------------------------------------------

    cdef int ask_epoll(self, int64_t timeout_ns) noexcept nogil:
        """Note what is ready, after waiting for it up to `timeout_ns` (-1: for ever): how many
        events there were, or -errno. Requests are not visited yet."""
        cdef epoll_event[EVENTS_MAX] events
        cdef int got
        cdef int count = 0
        if self.jobs.called_out.first != NULL and not 0 <= timeout_ns <= CALL_OUT_NS:
            timeout_ns = CALL_OUT_NS
        while True:
            got = zc_epoll_wait(self.epoll_fd, events, EVENTS_MAX, timeout_ns)
            self.note_events(events, got)
            count += max(got, 0)
            if got < EVENTS_MAX or count >= EVENTS_AT_ONCE_MAX:
                break
            timeout_ns = 0
        self.begin_due()
        self.asked_ns = monotonic_ns()
        call_again(&self.jobs)
        return got if got < 0 and count == 0 else count

    cdef void note_events(self, epoll_event *events, int count) noexcept nogil:
        cdef uint64_t data
        cdef int index
        for index in range(count):
            data = zc_data(&events[index])
            if data == INBOX_DATA:
                self.take_back_work()
            elif data == TIMER_DATA:
                self.expire()
            else:
                self.note_event(data, zc_events(&events[index]))

    cdef void advance(self) noexcept nogil:
        self.ask_epoll(0)
        self.visit_ready()

    # ---- entering, and waiting -------------------------------------------------------------------

    cdef int wait_for_count(self, unsigned wait_count, int64_t timeout_ns) noexcept nogil:
        """Carry requests out until `wait_count` completions are visible, or for `timeout_ns`
        (-1: for ever); at least once. 0, -ETIME or -EINTR, and 0 if any completion is visible."""
        cdef int64_t end_ns = monotonic_ns() + timeout_ns if timeout_ns > 0 else 0
        cdef bint may_sleep
        cdef int got
        self.drain_overflow()
        while True:
            may_sleep = self.visible() < wait_count and self.ready_first == NULL
            got = self.ask_epoll(timeout_ns if may_sleep else 0)
            self.visit_ready()
            self.drain_overflow()
            if self.visible() >= wait_count or (got < 0 and got != -EINTR):
                break
            if got == -EINTR and may_sleep:
                break
            if timeout_ns >= 0 and may_sleep:
                timeout_ns = end_ns - monotonic_ns()
                if timeout_ns <= 0:
                    got = -ETIME
                    break
        # Visits that are still due are what deferred task work is to io_uring: another enter.
        if self.ready_first != NULL:
            store_release(&self.flags, load_relaxed(&self.flags) | SQ_TASKRUN)
        else:
            store_release(&self.flags, load_relaxed(&self.flags) & ~<unsigned> SQ_TASKRUN)
        return got if got < 0 and self.visible() == 0 else 0

    cdef int wait(self, unsigned wait_count, unsigned min_wait_us,
                  kernel_timespec *timeout) noexcept nogil:
        cdef int failed
        self.enters += 1
        failed = self.begin_all()
        if failed:
            return failed
        return self.wait_for_count(wait_count,
                                   timeout.tv_sec * <int64_t> 1000000000 + timeout.tv_nsec)

    cdef int enter_with(self, unsigned wait_count, unsigned flags,
                        io_uring_getevents_arg *argument, size_t size) noexcept nogil:
        cdef int failed
        self.enters += 1
        failed = self.begin_all()
        return failed if failed else self.wait_for_count(wait_count, -1 if wait_count else 0)

    cdef int make_room(self) noexcept nogil:
        cdef int failed = self.begin_all()
        self.drain_overflow()
        return failed

    cdef bint is_look_due(self) noexcept nogil:
        return monotonic_ns() - self.asked_ns > LOOK_EVERY_NS

    cdef int64_t spin(self, int64_t limit_ns) noexcept nogil:
        """As the base class does, but each look is a system call."""
        cdef int64_t start_ns = monotonic_ns()
        cdef int64_t now_ns = start_ns
        while now_ns - start_ns < limit_ns:
            if self.visible() or self.wants_enter() or self.ask_epoll(0) > 0:
                self.visit_ready()
                if self.visible():
                    return now_ns - start_ns
            now_ns = monotonic_ns()
        return -1
