from libc.stdint cimport uint32_t, uint64_t

from zcloop._native.channel.buffer_rings cimport BufferRings, Kind
from zcloop._native.channel.channel cimport Channel
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.memory.pool cimport Pool
from zcloop._native.operation.operation cimport Operation


cdef class PausableChannel(Channel):
    cdef BufferRings buffer_rings
    cdef readonly Pool pool             # what is lent in place; None until first wanted
    cdef uint32_t *parked               # slots taken back while nobody runs the channel
    cdef uint32_t parked_count
    cdef uint32_t parked_capacity
    cdef list starved                   # operations that wait for a free slot of a buffer ring
    cdef list pins_wanted               # regions to pin when the channel runs
    cdef readonly bint is_started       # between `start` and `pause`
    cdef bint has_run                   # it was started, if not with success
    cdef bint is_pausing                # cancelled requests are parked, not completed
    cdef public bint has_multishot_receive      # since 6.0, into a buffer ring (5.19)
    cdef public bint has_multishot_message      # since 6.0

    cdef int start(self) except -1
    cdef int pause(self) except -1
    cdef int unpark(self, Operation operation) except -1
    cdef int starve(self, Operation operation) except -1
    cpdef Pool lending_pool(self)
    cdef BufferRing buffers_of(self, Kind kind)

    cdef int attach_ring(self) except -1
    cdef int renew_ring(self) except -1
    cdef int submit_parked(self) except -1
    cdef int submit_again(self, Operation operation) except -1
    cdef bint park(self, uint64_t token) except -1
    cdef int park_slot(self, uint32_t slot) except -1
    cdef int post_cancelled(self, Operation operation) except -1
    cdef int post_cancelled_anew(self, Operation operation) except -1
    cdef int feed(self) except -1
    cdef int submit_starved(self, Operation operation) except -1
    cdef int make_buffers(self, Kind kind) except -1
    cdef int register_buffers(self) except -1
    cdef void refuse_buffers(self, Kind kind) noexcept
