# Requests from their submission to their last completion, and the memory that they stand in.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from zcloop._native.kernel.uring cimport io_uring_sqe
from zcloop._native.kernel.workers cimport Job

cdef enum Stage:
    LINKED          # it begins when the request before it in a chain has ended
    WAITING         # it is in the list of its file, or a visit is due
    WORKING         # a thread makes its call
    TIMED           # it waits for a moment in time
    OVER            # it has ended; its completion waits for room in the queue

# What the pool of threads is given.
cdef struct Task:
    Job job                 # first, since the pool gives back a pointer to this
    Pending *request

cdef struct Pending:
    io_uring_sqe sqe        # a copy; MSG_WAITALL keeps its books in it (see attempt)
    Task *task              # while WORKING
    Pending *next           # neighbours in the list that its stage says; free ones have `next`
    Pending *previous
    Pending *next_ready     # neighbours in the list of due visits
    Pending *previous_ready
    Pending *linked         # the request that begins when this one has ended
    int64_t deadline_ns     # while TIMED; on CLOCK_MONOTONIC
    int fd                  # the file in whose list it is; -1: in none
    uint32_t mask           # the events that it waits for, of epoll
    uint32_t found          # the events that epoll has reported and no call has used up
    int32_t result          # when OVER
    uint8_t stage
    uint8_t is_multishot    # it completes many times
    uint8_t is_ready        # a visit is due
    uint8_t is_short_empty  # a receive: this socket is empty once it gives less than was asked for
    uint8_t is_cancelled    # while LINKED or WORKING: it is to end with -ECANCELED
    uint8_t batch           # how many datagrams the next visit asks for

cdef struct PendingList:
    Pending *first
    Pending *last

cdef struct PendingTable:
    Pending **slots         # by the low half of user_data
    unsigned slots_size
    Pending *free
    void *blocks            # allocations of BLOCK_SIZE requests, chained by their first word


cdef unsigned power_of_two(unsigned size) noexcept nogil
cdef int grow_slots(PendingTable *table, unsigned count) noexcept nogil
cdef Pending *acquire_pending(PendingTable *table) noexcept nogil
cdef void release_pending(PendingTable *table, Pending *request) noexcept nogil
cdef void free_table(PendingTable *table) noexcept nogil
cdef bint breaks_link(const io_uring_sqe *sqe, int result) noexcept nogil


cdef inline void append_to(PendingList *where, Pending *request) noexcept nogil:
    request.next = NULL
    request.previous = where.last
    if where.last != NULL:
        where.last.next = request
    else:
        where.first = request
    where.last = request


cdef inline void remove_from(PendingList *where, Pending *request) noexcept nogil:
    if request.previous != NULL:
        request.previous.next = request.next
    else:
        where.first = request.next
    if request.next != NULL:
        request.next.previous = request.previous
    else:
        where.last = request.previous
    request.next = request.previous = NULL
