# The waist: operations go in, completions come out.

from libc.stdint cimport int64_t, uint32_t, uint64_t, uint8_t

from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.memory.pool cimport Pool
from zcloop._native.memory.region cimport Region
from zcloop._native.operation.operation cimport Operation
from zcloop._native.operation.poll cimport Poll

cdef struct Completion:
    uint64_t token
    int result
    uint32_t flags


cdef class Channel:
    # In flight: slot -> operation and generation; free slots are chained.
    cdef list operations                # an Operation or None: the collector must see them
    cdef uint32_t *generations
    cdef uint32_t *next_free
    cdef uint32_t capacity
    cdef uint32_t free_head
    cdef readonly uint32_t inflight     # with the kernel now: a terminal completion will come
    cdef readonly uint32_t notifying    # over, but the kernel still has memory of theirs
    cdef readonly uint32_t quarantined  # whose notification can never come: memory kept for good
    # Reaped and not yet dispatched, FIFO.
    cdef Completion *completions
    cdef uint32_t completion_capacity
    cdef uint32_t completion_head
    cdef uint32_t completion_tail
    cdef uint32_t *parked               # slots taken back while nobody runs the channel
    cdef uint32_t parked_count
    cdef uint32_t parked_capacity
    cdef readonly bint is_started       # between `start` and `pause`
    cdef list starved
    cdef readonly BufferRing buffers    # the pool for received bytes; None until first wanted
    cdef readonly Pool pool             # what is lent in place; None until first wanted
    cdef readonly BufferRing lending    # the slots of transports whose protocols take leases
    cdef readonly BufferRing flood      # large slots, for those that are sent without a pause
    cdef readonly BufferRing lending_datagrams
    cdef readonly BufferRing datagrams  # slots that hold the largest datagram; None likewise
    cdef readonly BufferRing segmented  # the same, fewer, for buffers of many datagrams
    # What the kernel has been found to do; an operation that it refuses clears its own.
    cdef public bint has_multishot_receive      # since 6.0, into a buffer ring (5.19)
    cdef public bint has_multishot_message      # since 6.0
    cdef bint is_multishot_message_proven       # a refusal is of one socket
    cdef public bint has_send_zero_copy         # since 6.2, with usage reports
    cdef public bint has_futex_wait             # since 6.7
    cdef public bint has_segmented_send         # UDP_SEGMENT, since 4.18
    cdef public bint has_push                   # setsockopt() as a request, since 6.7
    cdef readonly bint has_minimal_wait         # of an enter, since 6.12
    cdef readonly bint has_registered_buffers   # to send from without looking pages up, since 5.19
    cdef readonly bint is_closed
    cdef readonly bint is_forked
    cdef readonly uint64_t completed    # completions reaped

    cdef int submit(self, Operation operation) except -1
    cdef int cancel(self, Operation operation) except -1
    cdef int cancel_now(self, Operation operation) except -1
    cdef void forget(self, int fd) noexcept
    cdef int adapt(self, Operation wait) except -1
    cdef int starve(self, Operation operation) except -1
    cdef int retire(self, Operation operation) except -1
    cdef int start(self) except -1
    cdef int pause(self) except -1
    cdef int wait(self, int64_t timeout_ns) except -1
    cdef int unpark(self, Operation operation) except -1
    cdef bint is_pending(self) noexcept
    cdef bint has_undispatched(self) noexcept
    cdef int dispatch(self) except -1
    cdef int dispatch_queued(self) except -1
    cdef bint waits_on(self, Poll poll, Completion *completion) except -1
    cdef BufferRing receive_buffers(self)
    cdef BufferRing datagram_buffers(self)
    cdef BufferRing segmented_buffers(self)
    cdef BufferRing lending_buffers(self)
    cdef BufferRing flood_buffers(self)
    cdef BufferRing lending_datagram_buffers(self)
    cpdef Pool lending_pool(self)
    cdef int pin(self, Region region) except -1
    cdef int pin_of(self, Region region) noexcept
    cdef int check_usable(self) except -1

    cdef uint64_t acquire(self, Operation operation) except 0
    cdef void release(self, uint32_t slot) noexcept
    cdef int record(self, uint64_t token, int result, uint32_t flags) except -1
    cdef int ensure_slot(self) except -1
    cdef int grow(self) except -1
    cdef bint is_held(self, uint32_t slot, uint64_t token) noexcept
    cdef int queue(self, uint64_t token, int result, uint32_t flags) except -1
    cdef int post_cancelled(self, Operation operation) except -1
    cdef int park_slot(self, uint32_t slot) except -1
    cdef int feed(self) except -1
    cdef int submit_starved(self, Operation operation) except -1
    cdef int quarantine(self) except -1
    cdef int discard_all(self) except -1
