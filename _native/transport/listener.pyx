"""A listening socket: polls tell that connections wait; it accepts each and hands its stream over.

A listener owns the polls, not the socket. When `stop` returns the kernel holds no request on the
socket, so that closing the socket frees its port at once.

Other processes may accept from the same socket. So the polls ask for news only, and a listener
takes a connection when it can serve it at once. What it has not taken when it is stopped, or while
its process computes, is there for the other processes. There are two polls:

    turn    waits exclusively: a connection wakes one process, the one that has waited longest. So
            all get equal shares, and no process wakes in vain.
    watch   wakes every process, since the one whose turn it is may be computing, or have stopped.
            After LOOK_SECONDS each process takes what is still there, and arms the poll again. This
            costs a sleeping process two wake-ups, and a busy one 100 looks a second.

Rejected:
The kernel's own accept (OP_ACCEPT), which waits exclusively, too. A multishot accept stays at the
head of the queue: one process got every connection, also while it computed, and when it was stopped
the connections that were accepted for it were reset. A single accept takes turns, but a process
that computes holds one connection that no other process can take.
A poll that wakes all, and no other: the fastest process gets most. Of 200 connections each of four
processes had 14 to 64 (uvloop's processes: 5 to 125).
More than one connection in a turn of the loop: of 640 requests by 16 clients one of four processes
had 460; with one connection in a turn they had 145 to 194 each. libuv takes one, too.
"""

from libc.errno cimport EAGAIN, EBADF, ECONNABORTED, EINTR, EPERM, EPROTO
from libc.stdint cimport uint32_t

from zcloop._native.kernel.clock cimport monotonic
from zcloop._native.kernel.collector cimport let_program_in, program_left
from zcloop._native.kernel.cpython cimport (
    PyContext_Copy, PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit,
)
from zcloop._native.kernel.errors cimport ECANCELED
from zcloop._native.kernel.poll cimport POLLIN
from zcloop._native.kernel.sockets cimport accept_from, file_of, socket_fd
from zcloop._native.loop.socket_holder cimport SocketHolder
from zcloop._native.operation.operation cimport IDLE, Operation
from zcloop._native.operation.poll cimport POLLEXCLUSIVE, make_poll
from zcloop._native.transport.stream cimport Stream

# On a busy machine a process may get no core for milliseconds, and then misses its turn. With 2 ms
# 2 of 9 rounds of such a test left one process a tenth of its fair share; with 5 ms none had less
# than half of it (tests/unit/transport/test_shared_listener.py).
cdef double LOOK_SECONDS = 0.01


cdef class Listener(SocketHolder):
    """Calls `accepted(stream)` for each connection, in a copy of the context that the listener was
    made in, and `failed(errno)` when accepting has stopped on an error."""

    def __cinit__(self, Core core not None, socket, accepted, failed):
        self.core = core
        self.channel = core.channel
        self.context = PyContext_CopyCurrent()
        self.socket = socket
        self.fd = socket.fileno()
        self.file = file_of(self.fd)
        self.accepted = accepted
        self.failed = failed
        self.turn = make_poll(self, self.fd, POLLIN | POLLEXCLUSIVE)
        self.watch = make_poll(self, self.fd, POLLIN)

    def start(self):
        """Accept from now on. Idempotent; does nothing after `stop`."""
        if self.accepted is None:
            return
        self.is_listening = True
        self.join(self.core.socket_holders)
        self.arm(self.turn)
        if self.look_timer is None:
            self.arm(self.watch)

    def stop(self):
        """Accept no more, for good. Idempotent. Every connection that was taken was handed over."""
        self.is_listening = False
        self.leave()
        self.accepted = self.failed = None
        self.turn.owner = self.watch.owner = None
        self.disarm()

    cdef int closed_underneath(self) except -1:
        """The program has closed the socket: end the requests on it, so that its port is free."""
        return self.fail(EBADF) if self.is_listening else self.leave()

    cdef bint is_fd_ours(self) noexcept:
        # The file is compared, too: the program may have closed the socket, and got the same number
        # for another one. Requests are submitted so seldom that a call of fstat does not count.
        return socket_fd(self.socket) == self.fd and file_of(self.fd) == self.file

    cdef int arm(self, Poll poll) except -1:
        if not self.is_listening or poll.state != IDLE or self.channel.is_forked:
            return 0
        if not self.is_fd_ours():
            return self.closed_underneath()
        return self.channel.submit(poll)

    cdef int disarm(self) except -1:
        timer, self.look_timer = self.look_timer, None
        if timer is not None:
            timer.cancel()
        self.channel.cancel_now(self.turn)
        self.channel.cancel_now(self.watch)
        self.channel.forget(self.fd)
        return 0

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        if not self.is_listening:
            return 0
        if result < 0 and result != -ECANCELED:
            return self.fail(-result)
        if result < 0:
            return self.arm(<Poll> operation)
        if operation is self.watch:
            return self.look_after(LOOK_SECONDS)
        self.core.call(self._take_turn, (), self.context)
        return 0

    # ---- connections -------------------------------------------------------------------------

    def _take_turn(self):
        """Take one connection; others that wait are for other processes, or for the next turn.

        A connection that was taken and not read is lost when the program ends its server. So this
        runs behind callbacks that are ready, which may end it, and before the next submission,
        which reads.
        """
        try:
            self.accept_one()
        finally:
            self.arm(self.turn)

    cdef int look_after(self, double seconds) except -1:
        """Look so much later whether a connection still waits."""
        self.look_timer = self.core.timers.add(monotonic() + seconds, self._look, (), self.core,
                                               None, self.core.contexts)
        return 0

    def _look(self):
        """Take one connection that still waits, since its process has missed its turn; if there was
        one, look again at once."""
        cdef bint is_taken = False
        self.look_timer = None
        try:
            is_taken = self.accept_one()
        finally:
            if is_taken and self.is_listening and not self.channel.is_forked:
                self.look_after(0)
            else:
                self.arm(self.watch)

    cdef bint accept_one(self) except -1:
        """Take the connection that has waited longest, and hand it over. Whether there was one."""
        cdef object accepted = self.accepted    # code that stops us in the middle takes it away
        cdef int got
        if not self.is_listening or self.channel.is_forked:
            return False
        if not self.is_fd_ours():
            self.closed_underneath()
            return False
        got = accept_from(self.fd)
        if got < 0:
            self.refused(-got)
            return False
        self.hand_over(accepted, got)
        return True

    cdef int refused(self, int errno_) except -1:
        if errno_ in (EAGAIN, EINTR, ECONNABORTED, EPERM, EPROTO):
            return 0        # another process was faster, or the peer has closed its connection
        return self.fail(errno_)

    cdef int hand_over(self, object accepted, int fd) except -1:
        """Make the stream of an accepted connection, and call `accepted` with it."""
        cdef Stream stream = Stream(self.core, fd)      # it owns the fd from here on
        # A copy for each: what is set in one connection's context is not the next one's business.
        cdef object context = PyContext_Copy(self.context)
        cdef bint before = let_program_in()
        PyContext_Enter(context)
        try:
            try:
                accepted(stream)
            except BaseException:
                # Close the connection now, and not when the traceback is gone that refers to it.
                if not (stream.is_started or stream.is_closing_):
                    stream.drop()
                    if stream.face is not None:
                        stream.face._lost()
                raise
        finally:
            PyContext_Exit(context)
            program_left(before)
        return 0

    cdef int fail(self, int errno_) except -1:
        """Stop until `start` is called, and tell `failed` why."""
        cdef object failed = self.failed
        cdef bint before
        self.is_listening = False
        self.leave()
        self.disarm()       # a poll in flight would get turns that no process takes
        if failed is None:
            return 0
        before = let_program_in()
        try:
            failed(errno_)
        finally:
            program_left(before)
        return 0
