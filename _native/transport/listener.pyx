"""A listening socket: told by polls that connections wait, it accepts them and announces each.

It owns the polls, not the socket. After `stop` returns the kernel holds no request on the socket,
so that closing it frees the port at once.

Other processes may accept from the same socket. So the kernel is asked for nothing but news, and a
connection is taken only by who announces it at once: what a listener has not taken when it is
stopped, or while its process computes, is there for the others. Two polls say when:

    turn    waits exclusively: a connection wakes one process, the one that has waited longest.
            So the shares are equal, and nobody wakes in vain.
    watch   wakes every process. The one whose turn it is may be computing, or have stopped, so
            after LOOK_SECONDS each takes what is still there. It is armed again after that, and so
            costs a process that sleeps two wake-ups, and a busy one 100 looks a second.

Rejected: the kernel's own accept (OP_ACCEPT), which waits exclusively, too. A multishot one keeps
the head of the queue: one process got every connection, also while it computed, and what had been
accepted for it when it was stopped was reset. A single one takes turns, but whoever computes has
one connection that nobody else can take. A poll that wakes all, and nothing else: who is fastest
gets most. Of 200 connections four processes had 14 to 64 each, uvloop's 5 to 125. More than one
connection a turn of the loop (libuv, too, takes one): of 640 requests by 16 clients one of four
processes had 460, and 145 to 194 with one a turn.
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

# Of a machine that is busy with others, too, a process may get no core for milliseconds: with 2 ms
# 2 of 9 rounds ended with a tenth of the fair share, with 5 ms none below a half.
cdef double LOOK_SECONDS = 0.01


cdef class Listener(SocketHolder):
    """`accepted(stream)` for each connection, in a copy of the context that this was made in;
    `failed(errno)` when accepting stopped on an error."""

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
        """Accept from now on. Idempotent; nothing after `stop`."""
        if self.accepted is None:
            return
        self.is_listening = True
        self.join(self.core.socket_holders)
        self.arm(self.turn)
        if self.look_timer is None:
            self.arm(self.watch)

    def stop(self):
        """Accept no more, for good; nothing has been taken that was not announced. Idempotent."""
        self.is_listening = False
        self.leave()
        self.accepted = self.failed = None
        self.turn.owner = self.watch.owner = None
        self.disarm()

    cdef int closed_underneath(self) except -1:
        """Its port is to be free at once."""
        return self.fail(EBADF) if self.is_listening else self.leave()

    cdef bint is_fd_ours(self) noexcept:
        # Compared by file, too: whose number it is would not show.
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
        """Take one connection; who else waits is there for others, and for the loop's next turn.

        What was taken and not read is lost when the program ends its server: so this runs behind
        what is ready, which may close it, and before the next submission, which reads.
        """
        try:
            self.accept_one()
        finally:
            self.arm(self.turn)

    cdef int look_after(self, double seconds) except -1:
        self.look_timer = self.core.timers.add(monotonic() + seconds, self._look, (), self.core,
                                               None, self.core.contexts)
        return 0

    def _look(self):
        """Take one who still waits, for somebody's turn has passed; and then look again."""
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
        """Announce the one who has waited longest; whether there was one."""
        cdef object accepted = self.accepted    # whoever stops us meanwhile takes it away
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
            return 0        # another process was faster, or the connection is gone
        return self.fail(errno_)

    cdef int hand_over(self, object accepted, int fd) except -1:
        """Make the stream of an accepted connection, and call `accepted` with it."""
        cdef Stream stream = Stream(self.core, fd)      # the fd is its from here on
        # What is set for one connection is none of the next one's.
        cdef object context = PyContext_Copy(self.context)
        cdef bint before = let_program_in()
        PyContext_Enter(context)
        try:
            try:
                accepted(stream)
            except BaseException:
                # Now, not when the traceback that holds it is forgotten.
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
        """Stop until `start`, and say why."""
        cdef object failed = self.failed
        cdef bint before
        self.is_listening = False
        self.leave()
        self.disarm()       # or a turn of ours would be one that nobody takes
        if failed is None:
            return 0
        before = let_program_in()
        try:
            failed(errno_)
        finally:
            program_left(before)
        return 0
