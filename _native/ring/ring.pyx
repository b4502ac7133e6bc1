"""What is below a channel: a queue of requests (SQEs) and a queue of completions (CQEs), in memory.

Requests are written into the one and completions read out of the other without a call; `enter`
hands in and waits. Who carries the requests out is a subclass's business:

    UringRing       the kernel, which shares both queues
    ReadinessRing   zcloop itself, by epoll, where the kernel offers no io_uring
    PumpedRing      the same for a shared ring, in a thread of its own

Both speak the kernel's own language (opcodes, flags, results as of io_uring), so nothing above
knows which one it has, but for `backend` and for what a request is answered that one cannot do.

A ring is one thread's at a time. A shared ring is any thread's that holds the GIL. Its completions
become visible without an enter, and its own fd can be polled: it is readable while there is one,
beyond the ring's room too.
"""

from zcloop._native.kernel.atomics cimport store_release, zc_relax
from zcloop._native.kernel.clock cimport monotonic_ns

# So often a spinning thread looks at the ring between two looks at the clock.
cdef unsigned SPINS_A_LOOK = 32


cdef class Ring:
    def __dealloc__(self):
        if self.is_open:
            self.is_open = False
            self.free_queues()

    def fileno(self):
        return self.uring.ring_fd

    def close(self):
        """Unmap and close; idempotent. The owner has ended its requests before."""
        if self.is_open:
            self.is_open = False
            with nogil:     # the kernel takes its time: other threads go on, and end, meanwhile
                self.free_queues()

    def abandon(self):
        """In a forked child: forget the ring, which is the parent's."""
        self.is_open = False

    cdef void free_queues(self) noexcept nogil:
        """Let go of the queues and the fd."""

    cdef int attach(self) noexcept nogil:
        """The calling thread runs it from now on: 0, or -EEXIST when it is another thread's."""
        return 0

    cdef void detach(self) noexcept nogil:
        """Nobody runs it."""

    cdef int enter(self, unsigned wait_count, kernel_timespec *timeout) noexcept nogil:
        """Submit everything, bring in what completed, wait for `wait_count` completions.

        Returns 0, or -errno (-ETIME and -EINTR among them). A timeout needs wait_count > 0: with
        an expired one the kernel still programs a timer, 15 microseconds against 0.2.
        """
        if timeout == NULL:
            return self.enter_with(wait_count, 0, NULL, 0)
        return self.wait(wait_count, 0, timeout)

    cdef int wait(self, unsigned wait_count, unsigned min_wait_us,
                  kernel_timespec *timeout) noexcept nogil:
        """As enter, until so many requests have completions, or one has after `min_wait_us`.

        That is 0 but where `has_min_wait`, and shorter than the timeout.
        """
        return -1

    cdef int enter_with(self, unsigned wait_count, unsigned flags,
                        io_uring_getevents_arg *argument, size_t size) noexcept nogil:
        return -1

    cdef int make_room(self) noexcept nogil:
        """Submit everything, so that there are SQEs again: 0 or -errno."""
        return self.enter(0, NULL)

    cdef bint is_look_due(self) noexcept nogil:
        """Whether to enter before the next callbacks run, although nothing says so."""
        return False

    cdef void forget(self, int fd) noexcept nogil:
        """No request waits for this file, which is about to be closed: keep nothing of it open."""

    cdef int64_t spin(self, int64_t limit_ns) noexcept nogil:
        """Look, without a system call, until something has completed; how long that took, or -1
        when nothing has in time."""
        cdef int64_t start = monotonic_ns()
        cdef int64_t now = start
        cdef unsigned _look
        while now - start < limit_ns:
            for _look in range(SPINS_A_LOOK):
                if self.visible() or self.wants_enter():
                    return now - start
                zc_relax()
            now = monotonic_ns()
        return -1

    cdef int push(self) noexcept nogil:
        """Submit everything, of a shared ring. Returns 0, or -errno; what was not taken is
        `unsubmitted`. What is held beyond the ring's room stays there."""
        return -1

    cdef void retract(self) noexcept nogil:
        """Take back what is not submitted."""
        self.sqe_tail = self.sqe_head
        store_release(self.uring.sq.ktail, self.sqe_tail)

    cdef void took(self) noexcept nogil:
        """A completion of a shared ring has been taken out."""

    cdef int sleep(self, unsigned wait_count, kernel_timespec *timeout) noexcept nogil:
        """Wait until so many completions are there, of a shared ring: others may submit, and even
        close it, meanwhile. With no count: let in what is held beyond its room. 0 or -errno."""
        return -1

    cdef int register_(self, unsigned opcode, void *argument, unsigned count) noexcept nogil:
        """io_uring_register: a count, or -errno."""
        return -1
