from libc.stdint cimport uint32_t, uint8_t

from zcloop._native.kernel.flag cimport flag
from zcloop._native.kernel.uio cimport iovec
from zcloop._native.operation.operation cimport Operation
from zcloop._native.transport.inlet cimport Inlet
from zcloop._native.transport.write_queue cimport WriteQueue


cdef enum Joining:      # of what is written with what is written next, into one segment
    JOINING_UNKNOWN         # nobody has asked the socket yet
    JOINING_NEVER           # it is not TCP, or the program has corked it
    JOINING_POSSIBLE        # it is TCP, and nothing is held back now
    JOINED                  # the kernel holds the latest bytes back until `flush`


cdef class Outlet(Inlet):
    # Ordered by size, as the endpoint's.
    cdef WriteQueue queue               # None until something has to wait
    cdef uint32_t write_turn            # the turn of the latest write
    cdef uint8_t writes                 # in that turn, up to WRITES_MAX
    cdef uint8_t joining                # a Joining
    cdef flag is_repeating              # it wrote several times in the last turn it wrote in
    cdef readonly flag is_eof_written

    cdef int accept(self, object data) except -1
    cdef int warn_of_ignored(self) except -1
    cdef int queue_rest(self, object owner, const char *start, size_t size) except -1
    cdef int append(self, object owner, const char *data, size_t size) except -1
    cdef int append_piece(self, object piece) except -1
    cdef ssize_t send_at_once(self, const char *start, size_t size) except -2
    cdef bint joins(self, size_t size) noexcept
    cdef int join(self) except -1
    cdef ssize_t send_some(self, iovec *vector, unsigned count, bint is_joined) noexcept
    cdef int send_queue(self, bint is_joined) except -1
    cdef int send_on(self) except -1
    cdef void consume(self, size_t size) noexcept
    cdef bint is_zero_copy_wanted(self, size_t size) except -1
    cdef bint is_zero_copy_next(self) noexcept
    cdef int send_zero_copy(self) except -1
    cdef int sent_zero_copy(self, int result) except -1
    cdef int output_completed(self, Operation operation, int result, uint32_t flags) except -1

    # What a kind of transport says of itself.
    cdef int wrote(self) except -1      # the program has written: the peer may wait for it
    cdef bint is_reset(self) noexcept   # the peer has reset the connection

    cdef inline bint has_queued(self) noexcept:
        return self.queue is not None and self.queue.size != 0

    cdef inline bint may_write(self) noexcept:
        """Open, and not so much is queued that pause_writing() was called."""
        return not (self.is_closing_ or self.is_writing_paused)
