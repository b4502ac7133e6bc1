# Requests whose call a thread makes, since it may block.

from libc.stdint cimport int64_t

from zcloop._native.kernel.workers cimport Inbox
from zcloop._native.ring.pending_request cimport Pending, PendingList, PendingTable

cdef struct Jobs:
    Inbox inbox             # its `event_fd` is readable while a thread has given something back
    unsigned count          # requests that threads have
    PendingList called_out  # those that are to leave their calls
    int64_t called_ns       # when they were last called

cdef enum:
    # A signal that comes before the thread is in its call is lost, so it is sent again.
    CALL_OUT_NS = 1_000_000

cdef int open_jobs(Jobs *jobs) noexcept nogil
cdef void close_jobs(Jobs *jobs) noexcept nogil
cdef int start_request(Jobs *jobs, Pending *request) noexcept nogil
cdef void end_task(Jobs *jobs, Pending *request) noexcept nogil
cdef bint withdraw_request(Pending *request) noexcept nogil
cdef void call_out_request(Jobs *jobs, Pending *request) noexcept nogil
cdef void call_again(Jobs *jobs) noexcept nogil
cdef void clear_inbox(Jobs *jobs) noexcept nogil
cdef Pending *take_ended(Jobs *jobs, int *result) noexcept nogil
cdef bint is_worked_on(const Jobs *jobs, const PendingTable *table, int fd) noexcept nogil
