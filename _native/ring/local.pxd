# A ring whose two queues are in the program's own memory: requests come in, and results go out.

from libc.stdint cimport uint32_t, uint64_t

from zcloop._native.kernel.atomics cimport load_acquire, store_release
from zcloop._native.kernel.uring cimport CQE_F_MORE, io_uring_cqe, io_uring_sqe
from zcloop._native.ring.pending_request cimport Pending, PendingList, PendingTable
from zcloop._native.ring.ring cimport Ring


cdef class LocalRing(Ring):
    cdef unsigned sq_head           # the words that the queues' pointers of `uring` point to
    cdef unsigned sq_tail
    cdef unsigned flags
    cdef unsigned cq_head
    cdef unsigned cq_tail
    cdef PendingTable table
    cdef PendingList overflow       # OVER: their completions find no room in the queue
    cdef PendingList due            # they were linked to requests that have ended: to begin, or end

    cdef int begin_all(self) noexcept nogil
    cdef Pending *take_request(self, const io_uring_sqe *sqe) noexcept nogil
    cdef void begin_due(self) noexcept nogil
    cdef void complete(self, Pending *request, int result) noexcept nogil
    cdef void drain_overflow(self) noexcept nogil

    # What the derived classes do with a request.
    cdef void begin(self, Pending *request) noexcept nogil
    cdef void leave_file(self, Pending *request) noexcept nogil

    cdef inline unsigned room(self) noexcept nogil:
        """How many completions the queue has room for."""
        if self.overflow.first != NULL:
            return 0        # those come first
        return self.cq_entries - (self.cq_tail - load_acquire(&self.cq_head))

    cdef inline void write_cqe(self, uint64_t user_data, int result, uint32_t flags) noexcept nogil:
        """There is room for it."""
        cdef io_uring_cqe *cqe = &self.uring.cq.cqes[self.cq_tail & self.uring.cq.ring_mask]
        cqe.user_data = user_data
        cqe.res = result
        cqe.flags = flags
        store_release(&self.cq_tail, self.cq_tail + 1)

    cdef inline bint complete_more(self, Pending *request, int result,
                                   uint32_t flags) noexcept nogil:
        """A completion that is not the request's last; False when there is no room for it."""
        if self.room() == 0:
            return False
        self.write_cqe(request.sqe.user_data, result, flags | CQE_F_MORE)
        return True
