from libc.stdint cimport uint32_t, uint8_t

from zcloop._native.kernel.flag cimport flag
from zcloop._native.kernel.uio cimport iovec
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.operation.poll cimport Poll
from zcloop._native.operation.receive cimport Receive
from zcloop._native.transport.endpoint cimport Endpoint
from zcloop._native.transport.low_water_mark cimport LowWaterMark
from zcloop._native.transport.receiver cimport Receiver
from zcloop._native.transport.write_queue cimport WriteQueue


cdef enum:
    MAY_JOIN_UNKNOWN        # nobody has asked the socket yet
    MAY_JOIN                # TCP, and the program has not corked it
    MAY_JOIN_NEVER


cdef class Stream(Endpoint):
    # Ordered by size, as the endpoint's.
    cdef Receive receive                # multishot, small messages; None until first used
    cdef Poll read_poll                 # readiness, bulk; None until first used
    cdef LowWaterMark mark              # of a TCP socket that was read in bulk; None else
    cdef Receiver receiver              # of a native protocol; None: data_received is called
    cdef WriteQueue queue               # None until the first write
    cdef uint32_t write_turn            # the turn of the latest write
    cdef uint32_t read_size             # of the last direct receive, up to READ_AGAIN_MIN
    cdef uint8_t full_slots             # slots in a row that came filled
    cdef uint8_t small_reads            # receives in a row that a small slot would have held
    cdef uint8_t polls_to_skip          # before it is read again at once
    cdef uint8_t full_reads             # direct receives that filled their block, since a write
    cdef uint8_t writes                 # in that turn, up to 255
    cdef uint8_t may_join               # whether the socket knows MSG_MORE: MAY_JOIN_*
    cdef flag is_repeating              # it wrote several times in the last turn it wrote in
    cdef flag is_joined                 # the kernel holds its latest bytes back until `flush`
    cdef flag is_bulk
    cdef readonly flag is_flood         # lending, from the ring of large slots
    cdef flag is_buffered               # protocol is a BufferedProtocol
    cdef flag is_lending                # protocol is a ZeroCopyProtocol
    cdef flag is_started                # connection_made was called
    cdef flag is_ended                  # the peer's end of file was seen
    cdef flag is_resume_posted
    cdef readonly flag is_eof_written

    cdef int accept(self, object data) except -1
    cdef bint is_zero_copy_wanted(self, size_t size) except -1
    cdef ssize_t send_at_once(self, const char *start, size_t size) except -2
    cdef bint joins(self, size_t size) noexcept
    cdef int send_queue(self, bint is_joined) except -1
    cdef int join(self) except -1
    cdef bint is_reading_wanted(self) noexcept
    cdef bint is_holding_back(self) noexcept

    cdef inline bint may_write(self) noexcept:
        """Open, and not so much is queued that pause_writing() was called."""
        return not (self.is_closing_ or self.is_writing_paused)

    cdef inline int end_flow(self) except -1:
        """What comes next may be waited for: bytes are read as they come, until they flow again."""
        return 0 if self.mark is None else self.mark.restart()

    cdef inline int wrote(self) except -1:
        """Who sends may have waited for it."""
        self.full_reads = 0
        return self.end_flow()

    cdef int received(self, int result, uint32_t flags) except -1
    cdef bint is_reset(self) noexcept
    cdef int rested(self) except -1
    cdef BufferRing wanted_pool(self)
    cdef int note_slot_size(self, BufferRing pool, size_t size, uint32_t flags) except -1
    cdef int ended(self, int result) except -1
    cdef int read_bulk_and_rest(self) except -1
    cdef int read_starved(self) except -1
    cdef int received_slot(self, int result, uint32_t flags) except -1
    cdef int received_last(self, int result) except -1
    cdef ssize_t receive_some(self, char *memory, size_t size) noexcept
    cdef int read_bulk(self) except -1
    cdef bint is_greedy(self) noexcept
    cdef int read_directly(self) except -1
    cdef int read_directly_into(self) except -1
    cdef void note_read_size(self, size_t size) noexcept
    cdef int received_lease(self, BufferRing pool, unsigned slot, int size) except -1
    cdef int read_failed(self, int errno_) except -1
    cdef int read_lease(self) except -1
    cdef int hold_or_deliver(self, object data) except -1
    cdef int deliver_view(self, object view) except -1
    cdef void end_flood(self) noexcept
    cdef int deliver(self, object data) except -1
    cdef int deliver_bytes(self, bytes data) except -1
    cdef int deliver_into(self, const char *data, size_t size) except -1
    cdef int get_buffer(self, Py_buffer *buffer) except -1
    cdef int keep(self, const char *data, size_t size) except -1
    cdef int want_delivery(self) except -1
    cdef int end_of_file(self) except -1
    cdef bint is_zero_copy_next(self) noexcept
    cdef int send_zero_copy(self) except -1
    cdef int sent_zero_copy(self, int result) except -1
    cdef void consume(self, size_t size) noexcept
    cdef ssize_t send_some(self, iovec *vector, unsigned count, bint is_joined) noexcept
    cdef int append(self, object owner, const char *data, size_t size) except -1
    cdef int append_piece(self, object piece) except -1
