from libc.stdint cimport int64_t, uint64_t

from zcloop._native.channel.loop_channel cimport LoopChannel
from zcloop._native.operation.operation cimport Operation
from zcloop._native.operation.poll cimport Poll


cdef class SharedChannel(LoopChannel):
    cdef int result                 # of the completion that was taken last

    cdef int submit_all(self, list operations, bint is_linked) except -1
    cdef Operation reap_one(self)
    cdef int note_edge(self, Poll poll, int result) except -1
    cdef bint is_visible(self) noexcept
    cdef bint is_overfull(self) noexcept
    cdef unsigned surface(self, Operation unseen) except? 0
    cdef bint are_complete(self, list operations) except -1
    cdef int sleep(self, unsigned count, int64_t timeout_ns) except -1
    cdef int wake(self) except -1
    cdef bint holds(self, Operation operation) noexcept
    cdef uint64_t token_of(self, Operation operation) noexcept
