from libc.stdint cimport uint8_t

from zcloop._native.kernel.flag cimport flag
from zcloop._native.transport.lease_holder cimport LeaseHolder


cdef class Endpoint(LeaseHolder):
    # Ordered by size: there are as many of these as connections.
    # What arrived while reading was paused, oldest first; None when nothing is held. Items of a
    # stream are bytes, memoryviews, and at its end 0 (the end of file) or an errno. Items of
    # datagrams are tuples of data and address, and errnos.
    cdef list held
    cdef object empty_waiter            # sendfile waits for the queue to drain
    cdef size_t high_water
    cdef size_t low_water
    cdef uint8_t ignored_writes         # writes since the connection is lost, up to 255
    cdef flag is_paused                 # pause_reading() was called
    cdef readonly flag is_writing_paused
    cdef readonly flag is_closing_
    cdef flag is_losing                 # connection_lost will be called, or was

    cdef bint call_or_fail(self, object name, object argument) except -1
    cdef int protocol_failed(self, object error, str name) except -1
    cdef unsigned ignore_write(self) noexcept
    cdef int wait_writable(self) except -1
    cdef int drained(self, bint may_call) except -1
    cdef int pause_if_high(self) except -1
    cdef int call_pause_writing(self) except -1
    cdef int resume_if_low(self) except -1
    cdef int drop_held(self) except -1
    cdef int fail_reading(self, int errno_) except -1
    cdef int fail_writing(self, int errno_) except -1
    cdef int fail(self, int errno_, str message) except -1
    cdef int fatal(self, object error, str message) except -1
    cdef int force_close(self, object error) except -1
    cdef int lose(self, object error) except -1

    # What a kind of transport says of itself.
    cdef str noun(self)                         # in messages: what it is over
    cdef size_t queued(self) noexcept           # bytes accepted and not taken by the kernel
    cdef int clear_queue(self) except -1
    cdef int arrange_reading(self) except -1    # update_reading, with no other code in the middle
    cdef int stop_reading(self) except -1
    cdef int send_now(self) except -1           # by system calls, until empty or blocked
    cdef int emptied(self) except -1            # nothing is queued any more
    cdef bint is_expected(self, object error) except -1     # not to be reported
