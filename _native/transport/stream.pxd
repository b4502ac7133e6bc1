from zcloop._native.kernel.flag cimport flag
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.operation.poll cimport Poll
from zcloop._native.operation.receive cimport Receive
from zcloop._native.pacing.stream_pace cimport StreamPace
from zcloop._native.transport.delivery cimport Delivery
from zcloop._native.transport.low_water_mark cimport LowWaterMark
from zcloop._native.transport.outlet cimport Outlet


cdef class Stream(Outlet):
    # Ordered by size, as the endpoint's.
    cdef Receive receive                # multishot, small messages; None until first used
    cdef Poll read_poll                 # readiness, bulk; None until first used
    cdef LowWaterMark mark              # of a TCP socket that was read in bulk; None else
    cdef Delivery delivery              # to the kind of protocol there is
    cdef StreamPace pace                # which of these ways is taken
    cdef flag is_started                # connection_made was called
    cdef flag is_ended                  # the peer's end of file was seen

    cdef bint is_reading_wanted(self) noexcept
    cdef bint may_use_slots(self) noexcept
    cdef BufferRing wanted_pool(self)
    cdef int arrange_receive(self, BufferRing pool) except -1
    cdef int arrange_bulk(self) except -1
    cdef int note_message(self, BufferRing pool, size_t size, bint has_more) except -1
    cdef int ended(self, int result) except -1
    cdef int received_last(self, int result) except -1
    cdef int read_bulk_and_rest(self) except -1
    cdef int read_starved(self) except -1
    cdef int read_bulk(self) except -1
    cdef int read_some(self) except -1
    cdef int read_failed(self, int errno_) except -1
    cdef int rested(self) except -1
    cdef bint is_greedy(self) noexcept

    # What a kind of stream says of itself.
    cdef Delivery choose_delivery(self, object protocol)
    cdef ssize_t receive_some(self, char *memory, size_t size) noexcept
    cdef void note_read_size(self, size_t size) noexcept
    cdef int end_of_file(self) except -1

    cdef inline int end_flow(self) except -1:
        """Read bytes as they come, until they flow again: somebody may wait for the next."""
        return 0 if self.mark is None else self.mark.restart()
