"""What every transport has: an fd, a protocol, flow control for writing, and an end.

    accepted == sent + queued()
    open --close()--> closing --queue empty--> losing --next turn--> lost, fd closed
    open --abort(), error----------------------^

The fd is closed when connection_lost has been called, before any other callback: that one may block
until the peer has seen the end. What the kernel still has in flight is taken back first, so that
the number cannot be reused under an operation. A Python socket made for the fd, or given by the
program, owns it until then and is detached at the end, so its fileno() is -1 as after a close.
"""

cimport cython
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EBADF, EINTR, EINVAL, ENOMEM
from posix.unistd cimport close

import math
import socket as socket_module
from asyncio.log import logger

from zcloop._native.kernel.collector cimport (
    hold_collector, let_collector_go, let_program_in, program_left,
)
from zcloop._native.kernel.errors cimport ECANCELED, ENOBUFS, EOPNOTSUPP, os_error
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.sockets cimport socket_fd
from zcloop._native.memory.account cimport Account
from zcloop._native.memory.region cimport Lease, Region
from zcloop._native.operation.operation cimport IDLE
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.operation.send_zero_copy cimport SendZeroCopy, make_send_zero_copy
from zcloop._native.kernel.address cimport (
    AF_INET, family_in, local_address, peer_address, whole_address,
)
from zcloop._native.kernel.cpython cimport (
    PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit, PyObject_Release,
    PyObject_VectorcallMethod, reraise,
)
from zcloop._native.kernel.limits cimport NEVER
from zcloop._native.kernel.poll cimport POLLOUT

cdef size_t HIGH_WATER = 64 * 1024
cdef dict _ZERO_COPY_MODES = {
    "auto": ZERO_COPY_UNDECIDED, "always": ZERO_COPY_ALWAYS, "never": ZERO_COPY_NEVER,
}


cdef object owned(PyObject *result):
    """What a call has returned; NULL is the exception that it has set."""
    if result == NULL:
        reraise()
    answer = <object> result
    PyObject_Release(result)
    return answer


cdef size_t size_of(object limit) except? 0:
    """Of a buffer, in bytes: a float, and what is more than memory can hold, count too."""
    return NEVER if limit >= NEVER else <size_t> int(limit)


cdef object limit_of(size_t size):
    return math.inf if size == NEVER else size


cdef void leases_returned(void *holder) noexcept:
    """In whichever thread the last of them came back."""
    cdef Endpoint endpoint = <Endpoint> holder
    try:
        endpoint.core.call_soon_threadsafe(endpoint._leases_returned)
    except RuntimeError:
        pass        # the loop is closed


@cython.no_gc_clear     # its fd goes with it, which needs the core
cdef class Endpoint(Client):
    def __cinit__(self, Core core not None, int fd):
        self.fd = -1
        if fd < 0:
            raise os_error(EBADF, None)     # of a socket that was closed
        self.core = core
        self.channel = core.channel
        self.fd = fd
        self.owns_fd = True
        self.high_water = HIGH_WATER
        self.low_water = HIGH_WATER // 4
        self.read_peer()

    def __dealloc__(self):
        self.disown_account()
        if self.core is not None:
            self.core.remove_transport(self.fd, self)
        # With a Python socket the fd is its; without one it was ours to the end.
        if self.fd >= 0 and self.owns_fd:
            close(self.fd)

    def attach(self, face, protocol, socket=None, context=None):
        """Set who is above: the transport object `face`, and the protocol.

        The protocol is called in `context`. Without one it is called in a copy of the current
        context, in which the protocol's factory may have set variables. A `socket` that is given
        owns the fd from here on.
        """
        if socket is not None:
            self.socket = socket
            self.owns_fd = False
        self.face = face
        self.context = PyContext_CopyCurrent() if context is None else context
        self.set_protocol(protocol)
        self.enter_table()

    cdef int enter_table(self) except -1:
        """Let the loop find this transport by its fd."""
        return self.core.add_transport(self.fd, self)

    def set_protocol(self, protocol):
        self.protocol = protocol

    cdef bint read_peer(self) except -1:
        """Ask for the peer's address, while there is one; whether there is."""
        self.peer = peer_address(self.fd, &self.peer_head)
        return self.peer_head != 0

    @property
    def has_peer(self):
        """Whether there was a peer when it was looked at last."""
        return self.peer_head != 0

    @property
    def family(self):
        """The address family: of the peer, or where there is none of the socket."""
        if self.peer_head:
            return family_in(&self.peer_head)
        cdef bytes local = self.raw_local()
        return AF_INET if local is None else family_in(<const char *> local)

    def python_socket(self, int kind):
        """The socket object of the fd, made when first asked for; None once closed."""
        # In connection_lost the fd is still there.
        if self.socket is None and self.fd >= 0 and (self.face is not None or not self.is_lost):
            made = socket_module.socket(
                self.family, kind | socket_module.SOCK_NONBLOCK, -1, self.fd)
            if self.socket is not None or self.fd < 0:
                made.detach()       # who ran in the middle has made one, or closed the fd
            else:
                self.socket = made
                self.owns_fd = False
        return self.socket

    def raw_peer(self):
        """The peer's sockaddr as it was when the transport was made, or None."""
        return whole_address(self.peer_head) if self.peer is None else self.peer

    def raw_local(self):
        if self.local is None and self.fd >= 0:
            self.local = local_address(self.fd)
        return self.local

    cdef bint is_fd_ours(self) noexcept:
        return self.socket is None or socket_fd(self.socket) == self.fd

    # ---- protocol ----------------------------------------------------------------------------

    cdef object protocol_call(self, object name, object argument):
        """protocol.name(argument), or name() for None, in the transport's context."""
        cdef PyObject *result
        cdef PyObject *arguments[2]
        cdef object context = self.context
        cdef object protocol = self.protocol
        cdef double start = self.core.time_of_debug()
        cdef bint before
        arguments[0] = <PyObject *> protocol
        arguments[1] = <PyObject *> argument
        PyContext_Enter(context)    # refused for a given one that its giver has entered
        before = let_program_in()
        result = PyObject_VectorcallMethod(name, arguments, 1 if argument is None else 2, NULL)
        PyContext_Exit(context)
        try:
            answer = owned(result)
        finally:
            try:
                if start:
                    self.core.log_if_slow(start, protocol, name)
            finally:
                program_left(before)
        return answer

    cdef object protocol_call_two(self, object name, object one, object two):
        cdef PyObject *result
        cdef PyObject *arguments[3]
        cdef object context = self.context
        cdef object protocol = self.protocol
        cdef bint before
        arguments[0] = <PyObject *> protocol
        arguments[1] = <PyObject *> one
        arguments[2] = <PyObject *> two
        PyContext_Enter(context)
        before = let_program_in()
        result = PyObject_VectorcallMethod(name, arguments, 3, NULL)
        PyContext_Exit(context)
        program_left(before)
        return owned(result)

    cdef bint call_or_report(self, object name, object argument, str message) except -1:
        """Call as `protocol_call` does; what the method raises is reported under `message`. Whether
        it raised nothing. SystemExit and KeyboardInterrupt go on, as they end the run."""
        try:
            self.protocol_call(name, argument)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.report(message, error)
            return False
        return True

    cdef bint call_or_fail(self, object name, object argument) except -1:
        """Call as `protocol_call` does; what the method raises goes to `protocol_failed`. Whether
        it raised nothing. SystemExit and KeyboardInterrupt go on, as they end the run."""
        try:
            self.protocol_call(name, argument)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.protocol_failed(error, name)
            return False
        return True

    cdef int protocol_failed(self, object error, str name) except -1:
        """The protocol's method has raised `error`, which is the end of its connection."""
        return self.fatal(error, f"Fatal error: protocol.{name}() call failed.")

    cdef object report(self, str message, object error):
        cdef bint before = let_program_in()
        try:
            self.core.call_exception_handler({
                "message": message,
                "exception": error,
                "transport": self.face,
                "protocol": self.protocol,
            })
        finally:
            program_left(before)

    cdef int log(self, str message) except -1:
        """In debug mode: of this transport, by a format that has its one %r."""
        cdef bint before
        if self.core._debug:
            before = let_program_in()
            try:
                logger.debug(message, self.face)
            finally:
                program_left(before)
        return 0

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
        """Count a write that comes to nothing, since the connection is lost; the number of them."""
        if self.ignored_writes < 255:
            self.ignored_writes += 1
        return self.ignored_writes

    cdef int wait_writable(self) except -1:
        """The socket's buffer is full; go on when it is not. Whoever has sent has let go of leases,
        and what their end runs may have aborted the transport."""
        cdef bint is_held
        if self.is_losing:
            return 0
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
        """Less is queued than before: tell who waits for that."""
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
        """A future that is done when nothing is queued; writing is an error until the reset."""
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

    # ---- lending ----------------------------------------------------------------------------

    cpdef Lender ensure_lender(self):
        """What lends this transport its memory, made when first asked for."""
        cdef bint is_held
        if self.lender is None:
            is_held = hold_collector()      # or a finalizer might make another
            try:
                self.lender = Lender(self.channel.lending_pool())
                self.lender.account.holder = <void *> self
                self.lender.account.relieved = leases_returned
            finally:
                let_collector_go(is_held)
        return self.lender

    cdef int drop_held(self) except -1:
        """The transport is closing: what arrived during a pause is nobody's any more."""
        held, self.held = self.held, None
        for item in held or ():
            view = item[0] if isinstance(item, tuple) else item
            if isinstance(view, memoryview):
                view.release()
        return 0

    def pause_if_over_quota(self):
        """Read no more, if too much is lent, until enough of it is back."""
        if self.ensure_lender().wait_if_over():
            self.core.waiting.add(self)     # no operation holds it meanwhile
            self.update_reading()

    cdef int disown_account(self) noexcept:
        """Leases that come back from now on are told to nobody. Before a collector that found
        the transport takes it and its loop apart, for it may end leases in between."""
        if self.lender is not None:
            self.lender.account.holder = NULL
        return 0

    def _leases_returned(self):
        self.core.waiting.discard(self)
        if not self.is_lost:
            self.update_reading()

    def reserve(self, size, bint zeroed=True):
        self.channel.check_usable()
        return self.ensure_lender().reserve(size, zeroed)

    def set_quota(self, quota):
        self.ensure_lender().set_quota(quota)

    def associate(self, region):
        self.ensure_lender().associate(region)
        self.update_reading()

    def disassociate(self, region):
        self.ensure_lender().disassociate(region)
        self.update_reading()

    # ---- sending without a copy --------------------------------------------------------------

    def set_zero_copy_send(self, str mode):
        if mode not in _ZERO_COPY_MODES:
            raise ValueError(f"mode is one of {', '.join(_ZERO_COPY_MODES)}, not {mode!r}")
        self.zero_copy_mode = _ZERO_COPY_MODES[mode]
        self.zero_copy_min = 0
        if self.zero_copy_mode != ZERO_COPY_UNDECIDED:
            self.choose_zero_copy(1, True)

    cdef int choose_zero_copy(self, size_t threshold, bint leaves_machine) except -1:
        """Whether to try, and from how many bytes on. To the same machine the kernel always
        copies."""
        self.zero_copy_min = NEVER
        if self.zero_copy_mode == ZERO_COPY_NEVER or not self.channel.has_send_zero_copy:
            return 0
        if self.zero_copy_mode == ZERO_COPY_UNDECIDED:
            self.zero_copy_mode = ZERO_COPY_AUTO
        if leaves_machine:
            self.zero_copy_min = threshold
        return 0

    cdef SendZeroCopy make_zero_copy(self, object lease, const char *data, size_t size):
        cdef Region region = (<Lease> lease).region
        cdef int pin = self.channel.pin_of(region)
        # RLIMIT_MEMLOCK counts pinned memory of all of a user's processes, and rings. So none is
        # pinned before the network has taken something of this connection in place.
        if pin < 0 and region.pinned and self.ensure_lender().account.sent_zero_copy_bytes:
            self.channel.pin(region)
            pin = self.channel.pin_of(region)
        return make_send_zero_copy(self, self.fd, lease, data, size, pin)

    cdef int submit_zero_copy(self, SendZeroCopy operation) except -1:
        """Until its result is known the socket counts as blocked: before it is submitted, so that
        nobody submits it twice."""
        self.is_blocked = True
        self.zero_copy_send = operation
        try:
            self.channel.submit(operation)
        except BaseException:
            self.zero_copy_send = None
            self.is_blocked = False
            raise
        return 0

    cdef bint is_zero_copy_result_final(self, int result) except -1:
        """Whether an error is the connection's. After others it is sent again, some with a copy."""
        if result == -EINVAL:
            self.channel.has_send_zero_copy = False     # a kernel before 6.2
        if result in (-EINVAL, -EOPNOTSUPP, -ENOMEM, -ENOBUFS):
            # Another kind of socket, or net.core.optmem_max bounds what may be in the air.
            self.zero_copy_min = NEVER
            return False
        return result not in (-ECANCELED, -EINTR, -EAGAIN)

    cdef int notified(self, SendZeroCopy operation, bint is_copied) except -1:
        """The kernel is done with the memory, and says whether it copied."""
        cdef Account account = self.ensure_lender().account
        if not is_copied:
            account.sent_zero_copy_bytes += operation.size
            return 0
        account.kernel_copied_bytes += operation.size
        if self.zero_copy_mode == ZERO_COPY_AUTO:
            self.zero_copy_min = NEVER      # it pays only where the network can
        return 0

    # ---- reading -----------------------------------------------------------------------------

    cdef int update_reading(self) except -1:
        """Bring the operations in line with what is wanted; called after every change of either."""
        cdef bint is_held = hold_collector()
        try:
            return self.arrange_reading()
        finally:
            let_collector_go(is_held)

    cdef int arrange_reading(self) except -1:
        return 0

    cdef int stop_reading(self) except -1:
        return 0

    def is_reading(self):
        return not self.is_closing_ and not self.is_paused

    # ---- ending ------------------------------------------------------------------------------

    def is_closing(self):
        return self.is_closing_

    def close(self):
        """No more reading; what is queued is sent, then connection_lost(None). Idempotent."""
        if self.is_closing_:
            return
        self.is_closing_ = True
        self.stop_reading()
        if self.queued() and not self.is_blocked:
            self.send_now()
        if self.queued() == 0 and not self.is_losing:
            self.lose(None)

    def abort(self):
        """As close(), and what waits for room is dropped; what was written in this turn goes, as
        if it had been sent at once."""
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

    cdef int fatal(self, object error, str message) except -1:
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

    cdef int log_expected(self, str message, object error) except -1:
        cdef bint before = let_program_in()
        try:
            logger.debug("%r: %s", self.face, message, exc_info=error)
        finally:
            program_left(before)
        return 0

    cdef bint is_expected(self, object error) except -1:
        """Whether it is the network's, and nobody's mistake."""
        return isinstance(error, OSError)

    cdef int force_close(self, object error) except -1:
        if self.is_losing:
            return 0
        self.clear_queue()
        if not self.is_closing_:
            self.is_closing_ = True
            self.stop_reading()
        return self.lose(error)

    def force_close_with(self, error):
        """abort() with the exception that connection_lost is to get."""
        self.force_close(error)

    def fatal_error(self, error, message):
        """Report an exception as asyncio's transports do, and force the connection closed."""
        self.fatal(error, message)

    cdef int lose(self, object error) except -1:
        self.is_losing = True
        self.core.waiting.discard(self)
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

    cdef int take_fd(self) except -1:
        """The transport is over: a Python socket has the fd no longer."""
        self.raw_local()
        if self.socket is not None and self.socket.detach() != self.fd:
            # Closed or replaced behind our back: that number is not ours to close.
            self.core.remove_transport(self.fd, self)
            self.fd = -1
        self.owns_fd = True
        return 0

    cdef int close_fd(self) except -1:
        close(self.fd)
        return 0

    cdef bint is_idle(self) noexcept:
        return True

    cdef bint has_left_kernel(self) noexcept:
        return True

    cdef int recall_operations(self) except -1:
        return 0

    cdef int recall(self, Operation operation) except -1:
        """The kernel lets go of the fd's file now: the next callback may wait for the peer, which
        waits for the end. One call brings in what all that end in this turn have cancelled."""
        return 0 if has_left(operation) else self.channel.cancel_now(operation)

    cdef int forget_operations(self) except -1:
        return 0

    cdef int forget(self, Operation operation) except -1:
        """Break the cycle of owner and operation."""
        if operation is not None:
            operation.owner = None
        return 0

    cdef int release_fd(self) except -1:
        """Close the fd if nobody, the kernel included, has it any more; forget the operations when
        the last completion has been told."""
        if self.fd >= 0 and has_left(self.write_poll) and self.has_left_kernel():
            self.core.remove_transport(self.fd, self)
            try:
                self.close_fd()
            finally:
                self.fd = -1
        if self.fd < 0 and is_resting(self.write_poll) and self.is_idle():
            self.forget(self.write_poll)
            self.forget_operations()
        return 0

    def drop(self):
        """The transport was collected without a close: let the fd go, tell nobody."""
        self.disown_account()
        if self.fd >= 0:
            self.core.remove_transport(self.fd, self)
            if self.socket is not None:
                self.socket.close()
            else:
                self.close_fd()
            self.fd = -1
        self.is_closing_ = True
        self.is_lost = True

    @property
    def has_connection(self):
        """False once connection_lost has been called."""
        return not self.is_lost

    @property
    def state_text(self):
        """For repr: how it stands with reading and writing."""
        reading = "polling" if self.is_reading() else "idle"
        writing = "polling" if self.is_blocked else "idle"
        return f"read={reading} write=<{writing}, bufsize={self.queued()}>"


seal(Endpoint)
