from libc.stdint cimport uint64_t, uint8_t

from zcloop._native.channel.loop_channel cimport LoopChannel
from zcloop._native.kernel.flag cimport flag
from zcloop._native.loop.client cimport Client
from zcloop._native.loop.core cimport Core
from zcloop._native.memory.lender cimport Lender
from zcloop._native.operation.operation cimport Operation
from zcloop._native.operation.poll cimport Poll
from zcloop._native.operation.send_zero_copy cimport SendZeroCopy

cdef enum ZeroCopyMode:
    ZERO_COPY_UNDECIDED     # until something of a lease is written
    ZERO_COPY_AUTO          # as long as the kernel does not copy
    ZERO_COPY_ALWAYS
    ZERO_COPY_NEVER


cdef class Endpoint(Client):
    # Ordered by size: there are as many of these as connections.
    cdef readonly Core core
    cdef LoopChannel channel
    cdef readonly object face           # the asyncio transport that the protocol knows
    cdef readonly object protocol
    cdef object context
    cdef readonly object socket         # the Python socket of the fd, made when asked for
    cdef uint64_t peer_head             # of the peer's raw sockaddr; 0: there is no peer
    cdef bytes peer                     # all of it, where that is more
    cdef bytes local
    cdef Poll write_poll                # in flight while the socket's buffer is full
    cdef readonly Lender lender                  # None until something is lent or reserved
    cdef list held                      # what arrived while reading was paused; None else
    cdef SendZeroCopy zero_copy_send    # in flight: its result has not come yet
    cdef size_t zero_copy_min           # bytes from which something of a lease is sent so
    cdef object empty_waiter            # sendfile waits for the queue to drain
    cdef size_t high_water
    cdef size_t low_water
    cdef unsigned lost_count            # 0: connected; then 1 + writes ignored since
    cdef uint8_t zero_copy_mode
    cdef flag is_paused                 # pause_reading() was called
    cdef flag is_blocked                # the socket's buffer is full; write_poll tells when not
    cdef readonly flag is_writing_paused
    cdef readonly flag is_closing_
    cdef flag is_lost                   # connection_lost was called; the fd is closed

    cdef int put_under(self, object face, object protocol) except -1
    cdef bint read_peer(self) except -1
    cpdef Lender lend(self)
    cdef int drop_held(self) except -1
    cdef int choose_zero_copy(self, size_t threshold, bint leaves_machine) except -1
    cdef SendZeroCopy make_zero_copy(self, object lease, const char *data, size_t size)
    cdef int submit_zero_copy(self, SendZeroCopy operation) except -1
    cdef bint is_zero_copy_result_final(self, int result) except -1
    cdef int notified(self, SendZeroCopy operation, bint is_copied) except -1
    cdef int disown_account(self) noexcept
    cdef object protocol_call(self, object name, object argument)
    cdef object protocol_call_two(self, object name, object one, object two)
    cdef object report(self, str message, object error)
    cdef int log(self, str message) except -1
    cdef int log_expected(self, str message, object error) except -1
    cdef int call_pause_writing(self) except -1
    cdef int update_reading(self) except -1
    cdef int wait_writable(self) except -1
    cdef int pause_if_high(self) except -1
    cdef int resume_if_low(self) except -1
    cdef int drained(self, bint may_call) except -1
    cdef int fail(self, int errno_, str message) except -1
    cdef int fatal(self, object error, str message) except -1
    cdef int force_close(self, object error) except -1
    cdef int lose(self, object error) except -1
    cdef int release_fd(self) except -1
    cdef int recall(self, Operation operation) except -1
    cdef int take_fd(self) except -1
    cdef int forget(self, Operation operation) except -1

    # What a kind of transport says of itself.
    cdef size_t queued(self) noexcept           # bytes accepted and not taken by the kernel
    cdef int clear_queue(self) except -1
    cdef int arrange_reading(self) except -1    # update_reading, with no other code in the middle
    cdef int stop_reading(self) except -1
    cdef int send_now(self) except -1           # by system calls, until empty or blocked
    cdef int emptied(self) except -1            # nothing is queued any more
    cdef bint is_idle(self) noexcept            # no operation of its own is in flight
    cdef bint has_left_kernel(self) noexcept    # none has the fd's file; completions may be queued
    cdef int recall_operations(self) except -1
    cdef int forget_operations(self) except -1
    cdef int close_fd(self) except -1
    cdef bint is_expected(self, object error) except -1     # not to be reported

cdef inline bint is_resting(Operation operation) noexcept:
    return operation is None or operation.state == 0

cdef inline bint has_left(Operation operation) noexcept:
    return operation is None or operation.state == 0 or operation.has_left
