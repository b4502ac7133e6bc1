# How each request is carried out: at once, when its file is ready, by a thread, or at a time.

from libc.stdint cimport int64_t

from zcloop._native.kernel.uring cimport io_uring_sqe
from zcloop._native.ring.deadlines cimport Deadlines
from zcloop._native.ring.jobs cimport Jobs
from zcloop._native.ring.pending_request cimport Pending
from zcloop._native.ring.receiving cimport ReceivingRing


cdef class CarryingRing(ReceivingRing):
    cdef Jobs jobs
    cdef Deadlines deadlines

    cdef void carry_out(self, Pending *request) noexcept nogil
    cdef void accept_in_thread(self, Pending *request) noexcept nogil
    cdef void end_work(self, Pending *request) noexcept nogil
    cdef void take_back_work(self) noexcept nogil
    cdef void wait_for_time(self, Pending *request, int64_t after_ns) noexcept nogil
    cdef void expire(self) noexcept nogil
    cdef void visit_ready(self) noexcept nogil
    cdef void visit(self, Pending *request) noexcept nogil
    cdef int cancel(self, const io_uring_sqe *sqe) noexcept nogil
    cdef int cancel_one(self, Pending *request) noexcept nogil
    cdef int cancel_all(self) noexcept nogil

    # What a derived class does: carry on with what has become ready, without waiting.
    cdef void advance(self) noexcept nogil
