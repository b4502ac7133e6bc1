"""A ring whose two queues are in the program's own memory: requests come in, and results go out.

With io_uring the kernel shares the queues. Here zcloop has both ends. It takes requests (SQEs) out
of the one queue, each into a `Pending` of its own so that the SQE is free again, and writes
completions (CQEs) into the other. What happens to a request in between is for the classes derived
from this one: they are told by `begin`, and say the end by `complete`.

Three rules of io_uring hold here, whatever a request asks for:

    a chain (IOSQE_IO_LINK)     the next request begins when the one before it has succeeded; one
                                that has not cancels all that follow it
    overflow (FEAT_NODROP)      a last completion that finds the queue full is kept, and a flag says
                                so; completions that are not a request's last are not made then
    a quiet success             IOSQE_CQE_SKIP_SUCCESS: such a request completes only by failing
"""

from libc.errno cimport EINVAL, ENOMEM
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from zcloop._native.kernel.atomics cimport load_relaxed
from zcloop._native.kernel.errors cimport ECANCELED, os_error
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport (
    FEAT_CQE_SKIP, FEAT_EXT_ARG, FEAT_NODROP, SQE_CQE_SKIP_SUCCESS, SQE_IO_LINK, SQ_CQ_OVERFLOW,
)
from zcloop._native.ring.pending_request cimport (
    LINKED, OVER, WAITING, acquire_pending, append_to, breaks_link, free_table, grow_slots,
    power_of_two, release_pending, remove_from,
)

# As the kernel's limits of a ring (IORING_MAX_ENTRIES); of completions it allows twice as many.
cdef unsigned ENTRIES_MAX = 32768


cdef class LocalRing(Ring):
    def __cinit__(self, unsigned entries, unsigned cq_entries, bint is_shared=False):
        if entries == 0 or cq_entries == 0:
            raise os_error(EINVAL, "a ring needs entries")
        self.uring.ring_fd = -1
        self.is_shared = is_shared
        self.entries = power_of_two(min(entries, ENTRIES_MAX))
        self.cq_entries = power_of_two(min(cq_entries, 2 * ENTRIES_MAX))
        self.features = FEAT_NODROP | FEAT_EXT_ARG | FEAT_CQE_SKIP
        self.is_open = True
        self.uring.sq.sqes = <io_uring_sqe *> calloc(self.entries, sizeof(io_uring_sqe))
        self.uring.cq.cqes = <io_uring_cqe *> calloc(self.cq_entries, sizeof(io_uring_cqe))
        if self.uring.sq.sqes == NULL or self.uring.cq.cqes == NULL:
            raise MemoryError("ring")
        self.uring.sq.khead = &self.sq_head
        self.uring.sq.ktail = &self.sq_tail
        self.uring.sq.kflags = &self.flags
        self.uring.sq.ring_entries = self.entries
        self.uring.sq.ring_mask = self.entries - 1
        self.uring.cq.khead = &self.cq_head
        self.uring.cq.ktail = &self.cq_tail
        self.uring.cq.ring_entries = self.cq_entries
        self.uring.cq.ring_mask = self.cq_entries - 1

    cdef void free_queues(self) noexcept nogil:
        free_table(&self.table)
        free(self.uring.sq.sqes)
        free(self.uring.cq.cqes)
        self.uring.sq.sqes = NULL
        self.uring.cq.cqes = NULL
        self.cq_head = self.cq_tail = self.flags = 0

    # ---- requests come in ------------------------------------------------------------------------

    cdef int begin_all(self) noexcept nogil:
        """Take every SQE, and begin what is no later part of a chain: 0, or -ENOMEM, with the other
        SQEs left, when memory runs out."""
        cdef Pending *request
        cdef Pending *first = NULL      # of the chain that is being read
        cdef Pending *last = NULL
        while self.sqe_head != self.sqe_tail:
            request = self.take_request(
                &self.uring.sq.sqes[self.sqe_head & self.uring.sq.ring_mask])
            if request == NULL:
                if last != NULL:
                    self.begin(first)       # the part of its chain that was taken
                    self.begin_due()
                return -ENOMEM
            self.sqe_head += 1
            self.submissions += 1
            store_release(self.uring.sq.khead, self.sqe_head)
            if last != NULL:
                last.linked = request
                request.stage = LINKED
            else:
                first = request
            if request.sqe.flags & SQE_IO_LINK and self.sqe_head != self.sqe_tail:
                last = request
                continue
            last = NULL
            self.begin(first)
            self.begin_due()
        return 0

    cdef Pending *take_request(self, const io_uring_sqe *sqe) noexcept nogil:
        """A request made from an SQE; NULL when there is no memory."""
        cdef uint32_t slot = <uint32_t> sqe.user_data
        cdef bint is_named = sqe.user_data >> 32 != 0      # it can be found, to be cancelled
        cdef Pending *request
        if is_named and slot >= self.table.slots_size and grow_slots(&self.table, slot + 1):
            return NULL
        request = acquire_pending(&self.table)
        if request != NULL:
            memcpy(&request.sqe, sqe, sizeof(io_uring_sqe))
            if is_named:
                self.table.slots[slot] = request
        return request

    cdef void begin_due(self) noexcept nogil:
        """Begin what was linked to requests that have ended, or end it too where its chain is
        broken. Rejected: `complete` begins the next one itself. A chain would be a recursion, and
        chains are long and the stacks of threads small."""
        cdef Pending *request
        while self.due.first != NULL:
            request = self.due.first
            remove_from(&self.due, request)
            request.stage = WAITING
            if request.is_cancelled:
                self.complete(request, -ECANCELED)
            else:
                self.begin(request)

    cdef void begin(self, Pending *request) noexcept nogil:
        """Do what a request asks for, or see to it that it is done later."""

    cdef void leave_file(self, Pending *request) noexcept nogil:
        """The request waits for no file any more."""

    # ---- results go out --------------------------------------------------------------------------

    cdef void complete(self, Pending *request, int result) noexcept nogil:
        """The last completion of a request, which is in no list but its file's. What is linked to
        it is due."""
        cdef Pending *linked = request.linked
        cdef bint is_broken = linked != NULL and breaks_link(&request.sqe, result)
        request.linked = NULL
        self.leave_file(request)
        if request.sqe.flags & SQE_CQE_SKIP_SUCCESS and result >= 0:
            release_pending(&self.table, request)
        elif self.room():
            self.write_cqe(request.sqe.user_data, result, 0)
            release_pending(&self.table, request)
        else:
            request.stage = OVER
            request.result = result
            append_to(&self.overflow, request)
            store_release(&self.flags, load_relaxed(&self.flags) | SQ_CQ_OVERFLOW)
        if linked != NULL:
            linked.is_cancelled |= is_broken
            append_to(&self.due, linked)

    cdef void drain_overflow(self) noexcept nogil:
        """Completions that found no room go into the queue, as far as it has some now."""
        cdef Pending *request = self.overflow.first
        if request == NULL:
            return
        while request != NULL:
            if self.cq_tail - load_acquire(&self.cq_head) >= self.cq_entries:
                return
            remove_from(&self.overflow, request)
            self.write_cqe(request.sqe.user_data, request.result, 0)
            release_pending(&self.table, request)
            request = self.overflow.first
        store_release(&self.flags, load_relaxed(&self.flags) & ~<unsigned> SQ_CQ_OVERFLOW)


seal(LocalRing)
