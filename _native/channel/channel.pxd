# The waist: operations go in, completions come out.

from libc.stdint cimport uint32_t, uint64_t

from zcloop._native.channel.completions cimport Completions
from zcloop._native.channel.inflight cimport Inflight
from zcloop._native.kernel.uring cimport CQE_BUFFER_SHIFT, CQE_F_BUFFER, io_uring_sqe
from zcloop._native.memory.pins cimport Pins
from zcloop._native.memory.region cimport Region
from zcloop._native.operation.operation cimport Operation
from zcloop._native.ring.ring cimport Ring

cdef enum:
    # Generations start at 1, so a token of generation 0 is of no operation. This one is of what
    # nobody hears of; LoopChannel has more.
    IGNORED = 0


cdef class Channel:
    cdef readonly Ring ring             # first, as it ends before the memory of its requests
    cdef Completions completions        # reaped, or posted by the channel itself
    cdef Inflight table
    cdef str backend                    # as asked for; the ring says which it is
    cdef unsigned entries               # as asked for, if the ring is made again
    cdef unsigned completion_entries
    cdef Pins pins                      # regions registered with the ring
    cdef readonly uint64_t completed    # completions reaped
    cdef readonly uint32_t quarantined  # whose notification can never come: memory kept for good
    cdef readonly bint is_closed
    cdef readonly bint is_forked        # a child's copy of its parent's channel
    # What the kernel has been found to do; an operation that it refuses clears its own.
    cdef public bint has_futex_wait             # since 6.7
    cdef readonly bint has_registered_buffers   # to send from without looking pages up, since 5.19

    cdef int submit(self, Operation operation) except -1
    cdef int cancel(self, Operation operation) except -1
    cdef int reap(self) except -1
    cdef int adapt(self, Operation wait) except -1
    cdef bint knows_futex_wait(self) noexcept
    cdef int pin(self, Region region) except -1
    cdef int pin_of(self, Region region) noexcept
    cdef int check_usable(self) except -1

    cdef void prepare_cancel(self, io_uring_sqe *sqe, Operation operation, unsigned tries) noexcept
    cdef int make_room(self) except -1
    cdef int take_back(self) except -1
    cdef int cancel_all(self) except -1
    cdef int await_notifications(self) except -1
    cdef int quarantine(self) except -1
    cdef int discard_completed(self) except -1
    cdef int discard_all(self) except -1
    cdef bint is_used(self) noexcept
    cdef void let_go(self) noexcept

    cdef inline io_uring_sqe *take_sqe(self) except NULL:
        """The next SQE; the ring takes those before it if the queue is full."""
        cdef io_uring_sqe *sqe = self.ring.take_sqe()
        while sqe == NULL:
            self.make_room()
            sqe = self.ring.take_sqe()
        return sqe

    cdef inline int submit_now(self, Operation operation) except -1:
        """Write the request of an IDLE operation into an SQE."""
        cdef io_uring_sqe *sqe
        cdef uint64_t token
        self.table.admit(operation)     # before an SQE is taken, since it may allocate
        sqe = self.take_sqe()
        token = self.table.acquire(operation)
        operation.prepare(sqe)
        sqe.user_data = token
        return 0


cdef inline void discard_completion(Operation operation, int result, uint32_t flags) noexcept:
    """Give back what a completion carries that nobody wants."""
    operation.discard(result, flags)
    if flags & CQE_F_BUFFER:
        operation.pool.give(flags >> CQE_BUFFER_SHIFT)

cdef bint is_allowed(str feature) except -1
