from libc.stdint cimport uint32_t, uint8_t

from zcloop._native.channel.channel cimport Channel
from zcloop._native.loop.client cimport Client
from zcloop._native.loop.core cimport Core
from zcloop._native.operation.operation cimport Operation
from zcloop._native.operation.poll cimport Poll
from zcloop._native.operation.receive cimport Receive
from zcloop._native.operation.send cimport TrySend
from zcloop._native.transport.write_queue cimport WriteQueue


cdef class Stream(Client):
    cdef Core core
    cdef Channel channel
    cdef readonly object face           # the asyncio.Transport that the protocol knows
    cdef readonly object protocol
    cdef object context
    cdef readonly int fd                # -1 when it has been closed
    cdef readonly object socket         # the Python socket of the fd, made when asked for
    cdef bytes peer                     # raw sockaddr
    cdef bytes local
    # receiving
    cdef Receive receive                # multishot, small messages; None until first used
    cdef Poll read_poll                 # readiness, bulk; None until first used
    cdef list held                      # what arrived while reading was paused; None else
    cdef size_t bulk_size               # bytes asked of the next direct receive
    cdef uint8_t full_slots             # slots in a row that came filled
    cdef uint8_t small_reads            # direct receives in a row that a slot would have held
    cdef bint is_bulk
    cdef bint is_buffered               # protocol is a BufferedProtocol
    cdef bint is_started                # connection_made was called
    cdef bint is_paused
    cdef bint is_ended                  # the peer's end of file was seen
    cdef bint is_resume_posted
    # sending
    cdef WriteQueue queue               # None until the first write
    cdef TrySend try_send
    cdef Poll write_poll
    cdef bint is_sending                # a batched try-send is between flush and flushed
    cdef bint is_blocked                # the socket buffer is full; write_poll tells when not
    cdef size_t send_size               # bytes in the batched try-send
    cdef int send_result
    cdef size_t high_water
    cdef size_t low_water
    cdef readonly bint is_writing_paused
    cdef object empty_waiter            # sendfile waits for the queue to drain
    # ending
    cdef readonly bint is_closing_
    cdef readonly bint is_eof_written
    cdef unsigned lost_count            # 0: connected; then 1 + writes ignored since
    cdef bint is_lost                   # connection_lost was called; the fd goes with the last op

    cdef bint is_reading_wanted(self) noexcept
    cdef int update_reading(self) except -1
    cdef int stop_reading(self) except -1
    cdef int received(self, int result, uint32_t flags) except -1
    cdef int read_directly(self) except -1
    cdef int read_directly_into(self) except -1
    cdef int deliver(self, bytes data) except -1
    cdef int deliver_into(self, const char *data, size_t size) except -1
    cdef int end_of_file(self) except -1
    cdef int post_resume(self) except -1
    cdef object protocol_call(self, object name, object argument)
    cdef void note_read_size(self, size_t size) noexcept
    cdef object get_buffer(self)
    cdef object report(self, str message, object error)
    cdef int sent_or_kept(self) except -1
    cdef int append(self, bytes piece, size_t offset) except -1
    cdef int send_now(self) except -1
    cdef int wait_writable(self) except -1
    cdef int drained(self, bint may_call) except -1
    cdef int drained_empty(self) except -1
    cdef int pause_if_high(self) except -1
    cdef int resume_if_low(self) except -1
    cdef int fail(self, int errno_, str message) except -1
    cdef int fatal(self, object error, str message) except -1
    cdef int force_close(self, object error) except -1
    cdef int lose(self, object error) except -1
    cdef int release_fd(self) except -1
