from libc.stdint cimport int64_t

from zcloop._native.channel.channel cimport Channel
from zcloop._native.kernel.uring cimport io_uring_cqe
from zcloop._native.operation.operation cimport Operation
from zcloop._native.operation.poll cimport Poll


cdef class SharedChannel(Channel):
    cdef int result                 # of the completion that was reaped last

    cdef int submit_all(self, list operations, bint is_linked) except -1
    cdef int retire(self, Operation operation) except -1
    cdef Operation reap_one(self)
    cdef io_uring_cqe next_completion(self) noexcept
    cdef int note_edge(self, Poll poll, int result) except -1
    cdef bint is_overfull(self) noexcept
    cdef unsigned surface(self, Operation unseen) except? 0
    cdef bint are_complete(self, list operations) except -1
    cdef int sleep(self, unsigned count, int64_t timeout_ns) except -1
    cdef int wake(self) except -1
    cdef bint holds(self, Operation operation) noexcept
