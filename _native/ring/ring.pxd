# Two queues in memory: requests go in, completions come out. To a ring user_data is a number.

from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from zcloop._native.kernel.atomics cimport load_acquire, load_relaxed
from zcloop._native.kernel.liburing cimport zc_uring
from zcloop._native.kernel.uring cimport (
    SQ_CQ_OVERFLOW, SQ_TASKRUN, io_uring_cqe, io_uring_getevents_arg, io_uring_sqe,
    kernel_timespec,
)


cdef class Ring:
    cdef zc_uring uring                 # the queues, and `ring_fd`
    cdef unsigned sqe_tail              # how many SQEs were handed out since the beginning
    cdef unsigned sqe_head              # how many of them were submitted
    cdef bint is_open
    cdef bint has_min_wait              # `wait` heeds its `min_wait_us`
    cdef bint is_shared                 # it belongs to any thread that holds the GIL
    cdef bint shows_completions         # what has completed can be seen in memory, without a call
    cdef readonly unsigned entries
    cdef readonly unsigned cq_entries
    cdef readonly unsigned setup_flags
    cdef readonly unsigned features
    cdef readonly uint64_t enters       # calls that submit or wait
    cdef readonly uint64_t submissions  # SQEs that the kernel, or zcloop for it, has taken
    cdef readonly str backend           # "uring" or "epoll"

    cdef int attach(self) noexcept nogil
    cdef void detach(self) noexcept nogil
    cdef int enter(self, unsigned wait_count, kernel_timespec *timeout) noexcept nogil
    cdef int wait(self, unsigned wait_count, unsigned min_wait_us,
                  kernel_timespec *timeout) noexcept nogil
    cdef int enter_with(self, unsigned wait_count, unsigned flags,
                        io_uring_getevents_arg *argument, size_t size) noexcept nogil
    cdef int make_room(self) noexcept nogil
    cdef bint is_look_due(self) noexcept nogil
    cdef void forget(self, int fd) noexcept nogil
    cdef int64_t spin(self, int64_t limit_ns) noexcept nogil
    cdef int push(self) noexcept nogil
    cdef void retract(self) noexcept nogil
    cdef void took(self) noexcept nogil
    cdef int sleep(self, unsigned wait_count, kernel_timespec *timeout) noexcept nogil
    cdef int register_(self, unsigned opcode, void *argument, unsigned count) noexcept nogil
    cdef void free_queues(self) noexcept nogil

    cdef inline io_uring_sqe *take_sqe(self) noexcept nogil:
        """The next SQE, zeroed; NULL when the submission queue is full."""
        cdef io_uring_sqe *sqe
        if self.sqe_tail - load_acquire(self.uring.sq.khead) >= self.uring.sq.ring_entries:
            return NULL
        sqe = &self.uring.sq.sqes[self.sqe_tail & self.uring.sq.ring_mask]
        memset(sqe, 0, sizeof(io_uring_sqe))
        self.sqe_tail += 1
        return sqe

    cdef inline unsigned unsubmitted(self) noexcept nogil:
        return self.sqe_tail - self.sqe_head

    cdef inline io_uring_sqe *unsubmitted_sqe(self, unsigned index) noexcept nogil:
        return &self.uring.sq.sqes[(self.sqe_head + index) & self.uring.sq.ring_mask]

    cdef inline bint has_overflow(self) noexcept nogil:
        return load_relaxed(self.uring.sq.kflags) & SQ_CQ_OVERFLOW != 0

    cdef inline unsigned visible(self) noexcept nogil:
        """Completions that can be read without a system call."""
        return load_acquire(self.uring.cq.ktail) - load_relaxed(self.uring.cq.khead)

    cdef inline bint wants_enter(self) noexcept nogil:
        """Whether completions are held back that only an enter makes visible."""
        return load_relaxed(self.uring.sq.kflags) & (SQ_TASKRUN | SQ_CQ_OVERFLOW) != 0
