"""What is below a channel: a queue of requests (SQEs) and a queue of completions (CQEs), in memory.

Requests are written into the one queue, and completions are read out of the other, without a system
call. `enter` submits what was written, and waits. A derived class says who carries requests out:

    UringRing       the kernel, which shares both queues
    ReadinessRing   zcloop itself, by epoll, where the kernel offers no io_uring
    PumpedRing      the same for a shared ring, in a thread of its own

All speak the kernel's language (the opcodes, flags and results of io_uring). So nothing above knows
which one it has, but by `backend`, and by the error of a request that only the kernel can serve.

A ring belongs to one thread at a time. A shared ring belongs to any thread that holds the GIL. Its
completions become visible without an enter, and its own fd can be polled: it is readable while
there is a completion, be it one that found no room in the queue.
"""

from zcloop._native.kernel.atomics cimport store_release, zc_relax
from zcloop._native.kernel.clock cimport monotonic_ns

# How often a spinning thread looks at the ring between two looks at the clock, which take longer.
cdef unsigned SPINS_A_LOOK = 32


cdef class Ring:
    def __dealloc__(self):
        if self.is_open:
            self.is_open = False
            self.free_queues()

    def fileno(self):
        return self.uring.ring_fd

    def close(self):
        """Free the queues and close the fd; a second call does nothing. The owner has ended its
        requests before."""
        if self.is_open:
            self.is_open = False
            with nogil:     # the kernel takes its time, and other threads run meanwhile
                self.free_queues()

    def abandon(self):
        """In a forked child: forget the ring, which is the parent's, and do not touch it."""
        self.is_open = False

    cdef void free_queues(self) noexcept nogil:
        """Let go of the queues and the fd."""

    cdef int attach(self) noexcept nogil:
        """The calling thread uses the ring from now on: 0, or -EEXIST when another one does."""
        return 0

    cdef void detach(self) noexcept nogil:
        """No thread uses the ring from now on."""

    cdef int enter(self, unsigned wait_count, kernel_timespec *timeout) noexcept nogil:
        """Submit everything, bring in what has completed, and wait for `wait_count` completions.

        Returns 0, or -errno (-ETIME and -EINTR among them). A timeout needs a wait_count above 0:
        even for one of 0 seconds the kernel programs a timer, so that such an enter takes 15
        microseconds in place of 0.2.
        """
        if timeout == NULL:
            return self.enter_with(wait_count, 0, NULL, 0)
        return self.wait(wait_count, 0, timeout)

    cdef int wait(self, unsigned wait_count, unsigned min_wait_us,
                  kernel_timespec *timeout) noexcept nogil:
        """As `enter`, but after `min_wait_us` a single completion is enough.

        `min_wait_us` is shorter than the timeout, and 0 where not `has_min_wait`.
        """
        return -1

    cdef int enter_with(self, unsigned wait_count, unsigned flags,
                        io_uring_getevents_arg *argument, size_t size) noexcept nogil:
        """The system call io_uring_enter(2), or what stands for it; 0 or -errno."""
        return -1

    cdef int make_room(self) noexcept nogil:
        """Submit everything, so that there are SQEs again: 0 or -errno."""
        return self.enter(0, NULL)

    cdef bint is_look_due(self) noexcept nogil:
        """Whether to enter before the next callbacks run, although nothing says so."""
        return False

    cdef void forget(self, int fd) noexcept nogil:
        """A file is about to be closed, and no request waits for it: keep nothing of it open."""

    cdef int64_t spin(self, int64_t limit_ns) noexcept nogil:
        """Look at the ring, without a system call, until something has completed. Returns how many
        nanoseconds that took, or -1 when nothing has within `limit_ns`."""
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
        """Of a shared ring: submit everything. Returns 0, or -errno, and then some SQEs may be
        `unsubmitted`. Completions that found no room in the queue stay where they are."""
        return -1

    cdef void retract(self) noexcept nogil:
        """Forget the SQEs that are not submitted."""
        self.sqe_tail = self.sqe_head
        store_release(self.uring.sq.ktail, self.sqe_tail)

    cdef void took(self) noexcept nogil:
        """Of a shared ring: a completion has been taken out of the queue."""

    cdef int sleep(self, unsigned wait_count, kernel_timespec *timeout) noexcept nogil:
        """Of a shared ring: wait until `wait_count` completions are there: 0 or -errno. Other
        threads may submit, and even close the ring, meanwhile. With a count of 0 it does not wait,
        but lets completions into the queue that had found no room."""
        return -1

    cdef int register_(self, unsigned opcode, void *argument, unsigned count) noexcept nogil:
        """io_uring_register: a count, or -errno."""
        return -1
