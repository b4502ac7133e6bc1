"""What every transport has over its fd: flow control for writing, and an end.

    accepted == sent + queued()
    open --close()--> closing --queue empty--> losing --next turn--> lost, fd closed
    open --abort(), error----------------------^

The fd is closed when connection_lost() has been called, before any other callback: that one may
block until the peer has seen the end.

A transport is one object. Its parts are a chain of classes, since an object of their own for each
would cost a connection 48 bytes before its first field:

    Descriptor      the fd, its Python socket, its addresses, its release
    ProtocolHolder  who is above, and how it is called
    LeaseHolder     what is lent to it, and sending without a copy
    Endpoint        flow control, ending
    Stream, Datagram, and what derives from them
"""

cimport cython

import math

from zcloop._native.kernel.collector cimport (
    hold_collector, let_collector_go, let_program_in, program_left,
)
from zcloop._native.kernel.errors cimport os_error
from zcloop._native.kernel.limits cimport NEVER
from zcloop._native.kernel.poll cimport POLLOUT
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.operation.operation cimport IDLE
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.transport.descriptor cimport is_resting

cdef size_t HIGH_WATER = 64 * 1024      # bytes: asyncio's default


cdef size_t size_of(object limit) except? 0:
    """The bytes of a limit that the program gives. It may be a float, and more than memory holds,
    such as math.inf."""
    return NEVER if limit >= NEVER else <size_t> int(limit)


cdef object limit_of(size_t size):
    """The limit as the program gave it."""
    return math.inf if size == NEVER else size


@cython.no_gc_clear     # as of a Descriptor
cdef class Endpoint(LeaseHolder):
    def __cinit__(self, core, int fd):
        self.high_water = HIGH_WATER
        self.low_water = HIGH_WATER // 4

    # ---- flow control ------------------------------------------------------------------------

    cdef size_t queued(self) noexcept:
        return 0

    cdef int clear_queue(self) except -1:
        return 0

    cdef int send_now(self) except -1:
        return 0

    cdef int emptied(self) except -1:
        if self.empty_waiter is not None and not self.empty_waiter.done():
            self.empty_waiter.set_result(None)
        if self.is_closing_:
            self.lose(None)
        return 0

    cdef unsigned ignore_write(self) noexcept:
        """Count a write that comes to nothing, as the connection is lost; the number of them."""
        if self.ignored_writes < 255:
            self.ignored_writes += 1
        return self.ignored_writes

    cdef int wait_writable(self) except -1:
        """The socket's buffer is full: wait for room, and go on then."""
        cdef bint is_held
        if self.is_losing:
            return 0        # to send may end leases, and what their end runs may abort the transport
        is_held = hold_collector()
        self.is_blocked = True
        try:
            if self.write_poll is None:
                self.write_poll = make_poll(self, self.fd, POLLOUT)
            if self.write_poll.state == IDLE:
                self.write_poll.in_vain()
                self.channel.submit(self.write_poll)
        finally:
            let_collector_go(is_held)
        return 0

    cdef int drained(self, bint may_call) except -1:
        """Tell who waits for it that less is queued than before. Without `may_call` the protocol is
        told by a callback."""
        try:
            if self.is_writing_paused and self.queued() <= self.low_water:
                if may_call:
                    self.resume_if_low()
                else:
                    self.core.call(self._resume_writing, (), None)
        finally:    # KeyboardInterrupt ends the run, not the writing
            if self.queued() == 0 and not self.is_losing:
                self.emptied()
        return 0

    def get_write_buffer_size(self):
        return self.queued()

    def get_write_buffer_limits(self):
        return limit_of(self.low_water), limit_of(self.high_water)

    def set_write_buffer_limits(self, high=None, low=None):
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
        self.high_water, self.low_water = size_of(high), size_of(low)
        if self.queued() > self.high_water:
            if not self.is_blocked:
                self.send_now()
            self.pause_if_high()

    cdef int pause_if_high(self) except -1:
        if self.is_writing_paused or self.is_losing or self.queued() <= self.high_water:
            return 0
        self.is_writing_paused = True
        try:
            self.call_pause_writing()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.report("protocol.pause_writing() failed", error)
        return 0

    cdef int call_pause_writing(self) except -1:
        cdef bint before = let_program_in()
        try:
            self.protocol.pause_writing()
        finally:
            program_left(before)
        return 0

    cdef int resume_if_low(self) except -1:
        if not self.is_writing_paused or self.queued() > self.low_water:
            return 0
        self.is_writing_paused = False
        self.call_or_report("resume_writing", None, "protocol.resume_writing() failed")
        return 0

    def _resume_writing(self):
        if self.protocol is not None:
            self.resume_if_low()

    def make_empty_waiter(self):
        """A future that is done when nothing is queued.

        Until `reset_empty_waiter` to write is an error. RuntimeError if there is such a future.
        """
        if self.empty_waiter is not None:
            raise RuntimeError("unable to send a file; sendfile is in progress")
        if self.queued() and not self.is_blocked:
            self.send_now()
        self.empty_waiter = self.core.create_future()
        if self.queued() == 0:
            self.empty_waiter.set_result(None)
        return self.empty_waiter

    def reset_empty_waiter(self):
        self.empty_waiter = None

    # ---- reading -----------------------------------------------------------------------------

    cdef int update_reading(self) except -1:
        cdef bint is_held = hold_collector()
        try:
            return self.arrange_reading()
        finally:
            let_collector_go(is_held)

    cdef int arrange_reading(self) except -1:
        return 0

    cdef int stop_reading(self) except -1:
        return 0

    cdef int drop_held(self) except -1:
        """Drop what arrived during a pause, since the transport is closing."""
        held, self.held = self.held, None
        for item in held or ():
            view = item[0] if isinstance(item, tuple) else item
            if isinstance(view, memoryview):
                view.release()
        return 0

    def is_reading(self):
        return not self.is_closing_ and not self.is_paused

    # ---- ending ------------------------------------------------------------------------------

    def is_closing(self):
        return self.is_closing_

    def close(self):
        """Read no more, send what is queued, then call connection_lost(None). Idempotent."""
        if self.is_closing_:
            return
        self.is_closing_ = True
        self.stop_reading()
        if self.queued() and not self.is_blocked:
            self.send_now()
        if self.queued() == 0 and not self.is_losing:
            self.lose(None)

    def abort(self):
        """Close, and drop what the kernel has no room for. What it has room for is still sent, as
        if write() had sent it."""
        if not self.is_losing and self.queued() and not self.is_blocked:
            self.send_now()
        self.force_close(None)

    cdef str noun(self):
        return "socket"

    cdef int fail_reading(self, int errno_) except -1:
        return self.fail(errno_, f"Fatal read error on {self.noun()} transport")

    cdef int fail_writing(self, int errno_) except -1:
        return self.fail(errno_, f"Fatal write error on {self.noun()} transport")

    cdef int fail(self, int errno_, str message) except -1:
        return self.fatal(os_error(errno_, None), message)

    cdef bint call_or_fail(self, object name, object argument) except -1:
        """Call as `protocol_call` does, and give `protocol_failed` what the method raises.

        True if it raised nothing. SystemExit and KeyboardInterrupt go on: they end the run.
        """
        try:
            self.protocol_call(name, argument)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.protocol_failed(error, name)
            return False
        return True

    cdef int protocol_failed(self, object error, str name) except -1:
        """The protocol's method of that name has raised `error`, which ends the connection."""
        return self.fatal(error, f"Fatal error: protocol.{name}() call failed.")

    cdef int fatal(self, object error, str message) except -1:
        """Report an error unless it is expected, and force the connection closed."""
        try:
            if not self.is_expected(error):
                self.report(message, error)
            elif self.core._debug:
                self.log_expected(message, error)
        finally:
            if self.empty_waiter is not None and not self.empty_waiter.done():
                self.empty_waiter.set_exception(error)
            self.force_close(error)
        return 0

    cdef bint is_expected(self, object error) except -1:
        """Whether the network is to blame, and nobody has made a mistake."""
        return isinstance(error, OSError)

    cdef int force_close(self, object error) except -1:
        """Drop what is queued, and lose the connection. Idempotent."""
        if self.is_losing:
            return 0
        self.clear_queue()
        if not self.is_closing_:
            self.is_closing_ = True
            self.stop_reading()
        return self.lose(error)

    def force_close_with(self, error):
        """Close as abort() does, with the exception that connection_lost() is to get."""
        self.force_close(error)

    def fatal_error(self, error, message):
        """Report an exception as asyncio's transports do, and force the connection closed."""
        self.fatal(error, message)

    cdef int lose(self, object error) except -1:
        """Call connection_lost(error) in the next turn: nothing is read or sent any more."""
        self.is_losing = True
        self.core.over_quota.discard(self)
        if not is_resting(self.write_poll):
            self.channel.cancel(self.write_poll)
        self.core.call(self._call_connection_lost, (error,), self.context)
        return 0

    def _call_connection_lost(self, error):
        if self.is_lost:
            return
        self.is_lost = True
        self.disown_account()
        face = self.face
        try:
            if self.protocol is not None:
                self.protocol.connection_lost(error)
        finally:
            if self.empty_waiter is not None and not self.empty_waiter.done():
                self.empty_waiter.set_exception(ConnectionError("Connection is closed by peer"))
            self.take_fd()
            self.recall(self.write_poll)
            self.recall_operations()
            self.release_fd()
            self.protocol = self.face = self.context = None
            face._lost()

    cdef bint is_given_up(self) noexcept:
        return self.is_lost and self.face is None

    def drop(self):
        """End a transport that nobody has any more, at once: connection_lost is not called."""
        self.disown_account()
        self.drop_fd()
        self.is_closing_ = True
        self.is_lost = True

    @property
    def has_connection(self):
        """False once connection_lost has been called."""
        return not self.is_lost

    @property
    def state_text(self):
        """What a repr says of reading and writing."""
        reading = "polling" if self.is_reading() else "idle"
        writing = "polling" if self.is_blocked else "idle"
        return f"read={reading} write=<{writing}, bufsize={self.queued()}>"


seal(Endpoint)
