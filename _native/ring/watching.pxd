# Files that requests wait for: which fd is registered with epoll, for what, and who is told.

from libc.stdint cimport uint32_t, uint64_t, uint8_t

from zcloop._native.ring.local cimport LocalRing
from zcloop._native.ring.pending_request cimport Pending, PendingList

# A file that requests wait for, by its fd.
cdef struct WatchedFile:
    PendingList requests        # those that wait, the longest first
    uint32_t generation         # of its registration: an event of an earlier one is ignored
    uint32_t exclusive_generation   # the same, of the registration under `exclusive_fd`
    uint8_t is_registered       # as far as we know: epoll forgets a file when it is closed
    uint8_t is_armed            # epoll will report it; not so after a one-shot report
    uint8_t is_by_edge          # registered with EPOLLET, else with EPOLLONESHOT
    uint8_t is_exclusive_armed
    uint8_t is_accepting        # a thread accepts from this listener
    int exclusive_fd            # a copy of the fd, registered with EPOLLEXCLUSIVE; -1: none

# What an event of epoll says that it is about (epoll_data): a file's has the generation of its
# registration, which is never 0, in the upper half, and the fd in the lower.
cdef enum:
    INBOX_DATA = 0              # threads have given requests back
    TIMER_DATA = 1              # a deadline is over
cdef enum:
    # With the fd: the event is of `exclusive_fd`. No fd has this bit, since fs.nr_open is 2^20 by
    # default.
    EXCLUSIVE_BIT = 1 << 30


cdef class WatchingRing(LocalRing):
    cdef int epoll_fd
    cdef bint is_replaced           # `arm` has found another file under the fd
    cdef WatchedFile *files
    cdef unsigned files_size
    cdef Pending *ready_first       # requests that a visit is due for
    cdef Pending *ready_last

    cdef int ensure_file(self, int fd) noexcept nogil
    cdef void wait_for_file(self, Pending *request, int fd, uint32_t mask) noexcept nogil
    cdef void end_others(self, Pending *request, int fd, int result) noexcept nogil
    cdef void arm_again(self, int fd) noexcept nogil
    cdef int arm(self, int fd) noexcept nogil
    cdef int arm_exclusive(self, int fd) noexcept nogil
    cdef void disarm_unwanted(self, int fd) noexcept nogil
    cdef void note_ready(self, int fd, uint32_t found, bint is_exclusive) noexcept nogil

    # What a derived class does for a file that epoll does not take.
    cdef void use_thread(self, Pending *request) noexcept nogil

    cdef inline void note_event(self, uint64_t data, uint32_t found) noexcept nogil:
        """An event of a file; one of an earlier registration is ignored."""
        cdef uint32_t low = <uint32_t> data
        cdef int fd = <int> (low & ~<uint32_t> EXCLUSIVE_BIT)
        if low & EXCLUSIVE_BIT:
            if (self.files[fd].is_exclusive_armed
                    and self.files[fd].exclusive_generation == data >> 32):
                self.note_ready(fd, found, True)
        elif self.files[fd].generation == data >> 32:
            self.note_ready(fd, found, False)

    cdef inline void want_visit(self, Pending *request) noexcept nogil:
        if request.is_ready:
            return
        request.is_ready = True
        request.next_ready = NULL
        request.previous_ready = self.ready_last
        if self.ready_last == NULL:
            self.ready_first = request
        else:
            self.ready_last.next_ready = request
        self.ready_last = request

    cdef inline void forget_visit(self, Pending *request) noexcept nogil:
        request.is_ready = False
        if request.previous_ready != NULL:
            request.previous_ready.next_ready = request.next_ready
        else:
            self.ready_first = request.next_ready
        if request.next_ready != NULL:
            request.next_ready.previous_ready = request.previous_ready
        else:
            self.ready_last = request.previous_ready
