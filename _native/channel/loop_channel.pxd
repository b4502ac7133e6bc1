from libc.stdint cimport int64_t, uint32_t, uint64_t

from zcloop._native.channel.channel cimport Channel
from zcloop._native.pacing.coalescing cimport Coalescing
from zcloop._native.pacing.spinning cimport Spinning
from zcloop._native.kernel.uring cimport io_uring_sqe
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.memory.pins cimport Pins
from zcloop._native.memory.pool cimport Pool
from zcloop._native.operation.operation cimport Operation
from zcloop._native.ring.ring cimport Ring


cdef class LoopChannel(Channel):
    cdef readonly Ring ring
    cdef str backend                # as asked for; the ring says which it is
    cdef unsigned entries
    cdef unsigned completion_entries
    cdef Pins pins                  # regions registered with the ring
    cdef list pins_wanted           # regions to pin when the loop runs
    cdef bint has_run               # was started, if not with success
    cdef bint is_pausing            # cancelled requests are parked, not completed
    cdef Spinning spinning
    cdef Coalescing coalescing

    cdef void prepare_cancel(self, io_uring_sqe *sqe, Operation operation, unsigned tries) noexcept
    cdef int cancel_failed(self, uint64_t user_data, int result) except -1
    cdef bint knows_futex_wait(self) noexcept
    cdef int push(self, int fd) except -1
    cdef void push_refused(self, int fd, int result) noexcept
    cdef int take_ring(self) except -1
    cdef int register_pools(self) except -1
    cdef int submit_parked(self) except -1
    cdef int submit_again(self, Operation operation) except -1
    cdef int make_room(self) except -1
    cdef int reap(self) except -1
    cdef bint spin(self, int64_t *timeout_ns) except -1
    cdef int wait_asleep(self, int64_t timeout_ns) noexcept
    cdef bint can_coalesce(self) noexcept
    cdef bint wants_coalescing(self, int64_t timeout_ns, int64_t now) noexcept
    cdef int take_back(self) except -1
    cdef int await_notifications(self) except -1
    cdef list pools(self)
    cdef BufferRing make_pool(self, unsigned group, unsigned slots, size_t slot_size,
                              Pool memory=*)
    cdef bint park(self, uint64_t token) except -1
