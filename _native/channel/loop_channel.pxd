from libc.stdint cimport int64_t, uint64_t

from zcloop._native.channel.completions cimport Completion
from zcloop._native.channel.pausable cimport PausableChannel
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.operation.operation cimport Operation
from zcloop._native.operation.poll cimport Poll
from zcloop._native.pacing.coalescing cimport Coalescing
from zcloop._native.pacing.spinning cimport Spinning


cdef class LoopChannel(PausableChannel):
    cdef Spinning spinning
    cdef Coalescing coalescing
    # What the kernel has been found to do, as in Channel.
    cdef bint is_multishot_message_proven       # a refusal is of one socket
    cdef public bint has_send_zero_copy         # since 6.2, with usage reports
    cdef public bint has_segmented_send         # UDP_SEGMENT, since 4.18
    cdef public bint has_push                   # setsockopt() as a request, since 6.7
    cdef readonly bint has_minimal_wait         # of an enter, since 6.12

    cdef int cancel_now(self, Operation operation) except -1
    cdef void forget(self, int fd) noexcept
    cdef int push(self, int fd) except -1
    cdef int wait(self, int64_t timeout_ns) except -1
    cdef bint is_pending(self) noexcept
    cdef bint has_undispatched(self) noexcept
    cdef int dispatch(self) except -1
    cdef bint can_coalesce(self) noexcept
    cdef BufferRing receive_buffers(self)
    cdef BufferRing datagram_buffers(self)
    cdef BufferRing segmented_buffers(self)
    cdef BufferRing lending_buffers(self)
    cdef BufferRing flood_buffers(self)
    cdef BufferRing lending_datagram_buffers(self)

    cdef int cancel_again(self, uint64_t user_data, int result) except -1
    cdef void push_refused(self, int fd, int result) noexcept
    cdef int wait_asleep(self, int64_t timeout_ns) noexcept
    cdef bint spin(self, int64_t *timeout_ns) except -1
    cdef bint wants_coalescing(self, int64_t timeout_ns, int64_t now) noexcept
    cdef int dispatch_queued(self) except -1
    cdef bint waits_on(self, Poll poll, Completion *completion) except -1
