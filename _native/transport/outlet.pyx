"""How a stream writes: what the program gives goes to the kernel at once, and waits only for room.

    idle     nothing is queued: a write is one system call
    blocked  (`is_blocked`) the socket's buffer is full: what is written is queued, and a one-shot
             poll waits for room. A send without a copy that is in flight blocks, too.

What is written is the kernel's when `write` returns, as far as its buffer takes it. A small write
to a TCP socket is held back by the kernel (MSG_MORE) where more is to come: the transport writes
several times in a row, or, where a push costs no system call of its own (`has_push`), the loop has
other work in this turn. `flush` pushes it at the end of the turn. So the answers of one turn leave
together and in few segments. They leave all the same if the program blocks, exits, execs or shuts
the socket down.

Rejected: keeping small writes in user space until the end of the turn, and a send SQE for each.
Such bytes were written, and are lost by `os._exit`, overtaken by a child's, or cut off.
"""

cimport cython
from cpython.buffer cimport PyBUF_READ
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport EAGAIN, EBADF, ECONNRESET, EINTR, EPIPE, errno
from libc.string cimport memset

from asyncio import constants
from asyncio.log import logger

from zcloop._native.kernel.address cimport AF_INET, AF_INET6, family_in, is_same_machine
from zcloop._native.kernel.collector cimport hold_collector, let_collector_go
from zcloop._native.kernel.cpython cimport PyMemoryView_GET_BUFFER, PyMemoryView_GetContiguous
from zcloop._native.kernel.errors cimport os_error
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.socket cimport (
    MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, SHUT_WR, send, sendmsg, shutdown,
)
from zcloop._native.kernel.tcp cimport corked
from zcloop._native.kernel.uio cimport iovec, msghdr
from zcloop._native.kernel.uring cimport CQE_F_NOTIF, NOTIF_COPIED
from zcloop._native.memory.account cimport Account
from zcloop._native.memory.region cimport Lease, lease_of
from zcloop._native.operation.send_zero_copy cimport SendZeroCopy
from zcloop._native.transport.descriptor cimport is_resting
from zcloop._native.transport.endpoint cimport Endpoint
from zcloop._native.transport.lease_holder cimport ZERO_COPY_UNDECIDED
from zcloop._native.transport.write_queue cimport PIECES_MAX, Piece, as_piece, owner_of

# Bytes of a write from which nothing of it is held back: it fills segments of its own, and holding
# back the last of these gains nothing.
cdef size_t JOINED_MAX = 32 * 1024
# Bytes of a lease that is written, from which it is asked whether a copy can be spared: the
# copybreak of what is received, up to which a copy is cheaper.
cdef size_t LEASE_SEND_MIN = 4096
# Bytes of a lease from which pinning its pages and a second completion cost less than a copy.
cdef size_t ZERO_COPY_MIN = 32 * 1024
# Two would do to see a repetition; this is what one byte holds.
cdef uint8_t WRITES_MAX = 255


cdef size_t size_of(iovec *vector, unsigned count) noexcept:
    cdef size_t size = 0
    cdef unsigned index
    for index in range(count):
        size += vector[index].iov_len
    return size


cdef void fill_message(msghdr *message, iovec *vector, unsigned count) noexcept:
    memset(message, 0, sizeof(msghdr))
    message.msg_iov = vector
    message.msg_iovlen = count


@cython.no_gc_clear     # its fd goes with it, which needs the core
cdef class Outlet(Inlet):
    # ---- what the program writes -------------------------------------------------------------

    def write(self, data):
        """Send `data` (bytes, bytearray or memoryview); never blocks.

        What the socket's buffer has room for is the kernel's when this returns. Of the rest, bytes
        and views of leases are held, not copied; others are copied. What a view of a lease shows
        must not change until it is sent; the view itself may be released. Raises TypeError, and
        RuntimeError after write_eof() or during a sendfile.
        """
        self.accept(data)

    cdef int accept(self, object data) except -1:
        # From the first check on nothing is allocated that the collector tracks, except by what
        # holds it off (`wait_writable`, `ensure_lender`) or has marked the stream blocked before.
        cdef const char *start = NULL
        cdef size_t size
        cdef ssize_t sent = 0
        cdef object owner = None
        if type(data) is bytes:
            owner = data
            start = PyBytes_AS_STRING(data)
            size = PyBytes_GET_SIZE(data)
        elif isinstance(data, (bytes, bytearray, memoryview)):
            owner = lease_of(data, &start, &size)
            if owner is None:
                view = PyMemoryView_GetContiguous(data, PyBUF_READ, b"C")
                start = <const char *> PyMemoryView_GET_BUFFER(view).buf
                size = PyMemoryView_GET_BUFFER(view).len
        else:
            raise TypeError("data argument must be a bytes-like object, "
                            f"not {type(data).__name__!r}")
        if self.is_eof_written:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.empty_waiter is not None:
            raise RuntimeError("unable to write; sendfile is in progress")
        if size == 0:
            return 0
        self.wrote()
        if self.is_losing:
            return self.warn_of_ignored()
        if not self.is_fd_ours():
            return self.fail_writing(EBADF)
        if not self.has_queued() and not (type(owner) is Lease and self.is_zero_copy_wanted(size)):
            sent = self.send_at_once(start, size)
            if sent == <ssize_t> size or self.is_losing:
                return 0
            self.wait_writable()
        return self.queue_rest(owner, start + sent, size - sent)

    cdef int warn_of_ignored(self) except -1:
        """Count a write to a connection that is over; from the fifth on each is logged."""
        if self.ignore_write() >= <unsigned> constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
            logger.warning("socket.send() raised exception.")
        return 0

    cdef int queue_rest(self, object owner, const char *start, size_t size) except -1:
        """Queue what the kernel did not take; without an `owner` that keeps it, as a copy."""
        if owner is None:
            owner = PyBytes_FromStringAndSize(start, size)
            start = PyBytes_AS_STRING(owner)
            self.core.copied_bytes += size
        self.append(owner, start, size)
        if not self.is_blocked:
            self.send_now()
        return self.pause_if_high()

    def writelines(self, pieces):
        """write() of each, in one system call or few."""
        cdef bint is_held
        if self.is_eof_written:
            raise RuntimeError("Cannot call writelines() after write_eof()")
        if self.empty_waiter is not None:
            raise RuntimeError("unable to writelines; sendfile is in progress")
        pieces = [as_piece(piece) for piece in pieces]
        self.wrote()
        if self.is_losing:
            self.ignore_write()
            return
        is_held = hold_collector()
        try:
            for piece in pieces:
                self.append_piece(piece)
            if self.has_queued() and not self.is_blocked:
                self.send_queue(self.joins(self.queue.size))
            self.pause_if_high()
        finally:
            let_collector_go(is_held)

    def write_eof(self):
        """Send the end of file after what is queued; reading goes on. A second call does nothing.

        Raises OSError where the socket cannot send an end.
        """
        if self.is_closing_ or self.is_eof_written:
            return
        if not self.is_fd_ours():
            raise os_error(EBADF, None)
        self.is_eof_written = True
        if self.has_queued() and not self.is_blocked:
            self.send_now()
        if not self.has_queued() and not self.is_losing:
            if shutdown(self.fd, SHUT_WR) < 0:
                raise os_error(errno, None)

    cdef int wrote(self) except -1:
        return 0

    # ---- the queue ---------------------------------------------------------------------------

    cdef size_t queued(self) noexcept:
        return self.queue.size if self.queue is not None else 0

    cdef int append_piece(self, object piece) except -1:
        """Queue one of `as_piece`, if there is anything in it."""
        cdef const char *start
        cdef size_t size
        owner = owner_of(piece, &start, &size)
        return self.append(owner, start, size) if size else 0

    cdef int append(self, object owner, const char *data, size_t size) except -1:
        if self.queue is None:
            self.queue = WriteQueue.__new__(WriteQueue)
        return self.queue.push(owner, data, size)

    cdef void consume(self, size_t size) noexcept:
        """Take what the kernel has accepted out of the queue."""
        cdef WriteQueue queue = self.queue      # held: the end of a lease may run an abort()
        self.core.sent_bytes += size
        queue.consume(size)

    cdef int clear_queue(self) except -1:
        self.queue = None
        if not is_resting(self.zero_copy_send):
            self.channel.cancel(self.zero_copy_send)
        return 0

    cdef int emptied(self) except -1:
        self.queue = None
        Endpoint.emptied(self)
        if self.is_eof_written and not self.is_closing_:
            shutdown(self.fd, SHUT_WR)
        return 0

    # ---- by system calls ---------------------------------------------------------------------

    cdef ssize_t send_at_once(self, const char *start, size_t size) except -2:
        """Bytes that the kernel took, 0 if it has no room. An error of the socket is reported."""
        cdef iovec vector
        cdef ssize_t sent
        cdef bint is_joined = self.joins(size)
        vector.iov_base = <void *> start
        vector.iov_len = size
        sent = self.send_some(&vector, 1, is_joined)
        if sent < 0:
            if errno != EAGAIN and errno != EINTR:
                self.fail_writing(errno)
            return 0
        self.core.sent_bytes += sent
        if is_joined:
            self.join()
        elif self.joining == JOINED:
            self.joining = JOINING_POSSIBLE     # this one has pushed what was held back
        return sent

    cdef ssize_t send_some(self, iovec *vector, unsigned count, bint is_joined) noexcept:
        """What the kernel takes of it by a system call; -1 and errno."""
        cdef msghdr message
        cdef int flags = MSG_DONTWAIT | MSG_NOSIGNAL
        if is_joined:
            flags |= MSG_MORE
        if count == 1:
            return send(self.fd, vector.iov_base, vector.iov_len, flags)
        fill_message(&message, vector, count)
        return sendmsg(self.fd, &message, flags)

    cdef int send_now(self) except -1:
        return self.send_queue(False)

    cdef int send_queue(self, bint is_joined) except -1:
        """Send what is queued by system calls until it is gone or the socket's buffer is full."""
        cdef iovec[PIECES_MAX] vector
        cdef ssize_t sent
        cdef size_t offered
        cdef unsigned count
        if not self.is_fd_ours():
            return self.fail_writing(EBADF)
        while self.has_queued():
            if self.is_zero_copy_next():
                return self.send_zero_copy()
            count = self.queue.describe(vector, PIECES_MAX)
            offered = size_of(vector, count)
            sent = self.send_some(vector, count, is_joined)
            if sent < 0:
                if errno == EINTR:
                    continue
                if errno == EAGAIN:
                    return self.wait_writable()
                return self.fail_writing(errno)
            if is_joined:
                self.join()
            self.consume(sent)
            if <size_t> sent < offered:
                return self.wait_writable()
        return 0

    cdef int send_on(self) except -1:
        """The socket has room again: send what is queued, and tell who waits for that."""
        if self.is_losing:
            return 0
        self.send_now()
        if not (self.is_blocked or self.is_losing):
            self.drained(True)
        return 0

    cdef int fail_writing(self, int errno_) except -1:
        if errno_ == EPIPE and self.is_reset():
            errno_ = ECONNRESET
        return Endpoint.fail_writing(self, errno_)

    cdef bint is_reset(self) noexcept:
        return False

    # ---- held back until the end of the turn -------------------------------------------------

    cdef bint joins(self, size_t size) noexcept:
        """Whether the kernel is to hold the end of this write back for what comes after it."""
        cdef uint32_t turn = <uint32_t> self.core.turns
        if self.write_turn != turn:
            self.is_repeating = self.writes > 1
            self.writes = 0
            self.write_turn = turn
        if self.writes < WRITES_MAX:
            self.writes += 1
        if size >= JOINED_MAX or self.joining == JOINING_NEVER:
            return False
        # Where a push is a system call of its own, others' answers are no reason for one.
        if not (self.is_repeating or self.writes > 1
                or (self.channel.has_push and self.core.is_busy())):
            return False
        if not self.channel.is_started:
            return False
        if self.joining == JOINING_UNKNOWN:
            self.joining = JOINING_NEVER
            if family_in(&self.peer_head) in (AF_INET, AF_INET6) and corked(self.fd) == 0:
                self.joining = JOINING_POSSIBLE
        return self.joining != JOINING_NEVER

    cdef int join(self) except -1:
        self.joining = JOINED
        return self.core.want_flush(self)

    cdef int flush(self) except -1:
        """The turn is over: push what the kernel has held back."""
        if self.joining != JOINED:
            return 0
        self.joining = JOINING_POSSIBLE
        if self.fd < 0 or not self.is_fd_ours():
            return 0
        if self.socket is not None and corked(self.fd) != 0:
            self.joining = JOINING_NEVER    # the program has put a cork in, and takes it out
            return 0
        return self.core.channel.push(self.fd)

    # ---- without a copy ----------------------------------------------------------------------

    cdef bint is_zero_copy_wanted(self, size_t size) except -1:
        """Whether a lease is sent from where it is; else it is counted as sent by a copy."""
        cdef Account account
        if size < LEASE_SEND_MIN:
            return False
        if self.zero_copy_mode == ZERO_COPY_UNDECIDED:
            self.choose_zero_copy(
                ZERO_COPY_MIN, not is_same_machine(self.raw_local(), self.raw_peer()))
        if size >= self.zero_copy_min:
            return True
        account = self.ensure_lender().account
        account.sent_bytes += size
        return False

    cdef bint is_zero_copy_next(self) noexcept:
        """Whether the first piece is to be sent from its lease, and an enter follows."""
        return (self.zero_copy_min != 0 and self.queue.first().size >= self.zero_copy_min
                and type(<object> self.queue.first().owner) is Lease and self.channel.is_started)

    cdef int send_zero_copy(self) except -1:
        """Submit the first piece. The socket counts as blocked until the result is known, and
        from the first line on: to pin the region may log, and a log handler may write."""
        cdef Piece piece = self.queue.first()[0]
        cdef SendZeroCopy operation
        owner = <object> piece.owner
        self.is_blocked = True
        try:
            operation = self.make_zero_copy(owner, piece.data, piece.size)
        except BaseException:
            self.is_blocked = False
            raise
        return 0 if self.is_losing else self.submit_zero_copy(operation)

    cdef int sent_zero_copy(self, int result) except -1:
        self.zero_copy_send = None
        self.is_blocked = False
        if self.is_lost:
            return self.release_fd()
        if self.is_losing:
            return 0
        if result >= 0:
            self.consume(result)
        elif self.is_zero_copy_result_final(result):
            return self.fail_writing(-result)
        return self.send_on()

    # ---- completions -------------------------------------------------------------------------

    cdef int output_completed(self, Operation operation, int result, uint32_t flags) except -1:
        """A poll for room or a send without a copy has ended; another operation is not ours."""
        if operation is self.write_poll:
            self.is_blocked = False
            return self.release_fd() if self.is_lost else self.send_on()
        if type(operation) is not SendZeroCopy:
            return 0
        if flags & CQE_F_NOTIF:
            return self.notified(<SendZeroCopy> operation, <unsigned> result & NOTIF_COPIED != 0)
        return self.sent_zero_copy(result)


seal(Outlet)
