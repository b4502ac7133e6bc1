"""How the datagrams of a socket leave.

    one         a system call, and the datagram is the kernel's when `sendto` returns
    a run       several of one size to one address in one call (UDP_SEGMENT), unless the kernel,
                the socket or the path cannot
    in place    from a lease without a copy, by a request; the queue waits for its result

A datagram that the socket's buffer has no room for stays in the queue, in order, until a poll says
that there is room. Any other error of a send is the protocol's: error_received(exc).

To send runs code of the program: a lease that ends tells its holder, Python's socket resolves
names, a log handler may send. While the queue is walked it is busy: what such code adds waits
behind, it takes nothing out, and an abort empties the queue when the walk is over.
"""

cimport cython
from libc.errno cimport EAGAIN, EBADF, EINTR, EINVAL, EIO, EMSGSIZE, errno
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

import socket as socket_module

from zcloop._native.kernel.address cimport AF_UNIX
from zcloop._native.kernel.collector cimport hold_collector, let_collector_go
from zcloop._native.kernel.errors cimport os_error
from zcloop._native.kernel.limits cimport NEVER
from zcloop._native.kernel.poll cimport POLLOUT
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.socket cimport zc_send_to
from zcloop._native.kernel.uio cimport iovec
from zcloop._native.kernel.uring cimport CQE_F_NOTIF, NOTIF_COPIED
from zcloop._native.memory.account cimport Account
from zcloop._native.memory.region cimport Lease
from zcloop._native.operation.operation cimport Operation
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.operation.send_zero_copy cimport SendZeroCopy
from zcloop._native.transport.datagram_queue cimport (
    describe_run, drop_datagrams, leaves_in_place, run_at,
)
from zcloop._native.transport.descriptor cimport has_left, is_resting
from zcloop._native.transport.segments cimport (
    SEGMENTS_MAX, is_plain, is_refused_whole, send_segments,
)

# Datagrams from which on a run is worth it: two in a run take 0.7 to 0.85 of the CPU of two sends,
# four take 0.45 of that of four.
cdef unsigned RUN_MIN = 3


@cython.no_gc_clear     # its fd goes with it, which needs the core
cdef class DatagramOutput(Inlet):
    cdef str noun(self):
        return "datagram"

    cdef int flush(self) except -1:
        """Send what was added while the queue was being sent."""
        if self.is_blocked or self.is_busy or self.is_losing or self.queue.count == 0:
            return 0
        self.send_now()
        if not self.is_losing and not self.is_blocked:
            self.drained(False)
        return 0

    cdef int send_now(self) except -1:
        cdef bint is_held = hold_collector()
        try:
            return self.send_now_undisturbed()
        finally:
            let_collector_go(is_held)

    cdef int send_now_undisturbed(self) except -1:
        if self.is_busy:
            return 0        # what was added goes with what is being sent, or after it
        if not self.is_fd_ours():
            return self.fail_writing(EBADF)
        self.is_one_by_one = (self.segment_max == 0 or self.queue.count < RUN_MIN
                              or not is_plain(self.fd))
        self.is_busy = True
        try:
            self.send_queue()
        finally:
            self.rest()
        if (self.queue.count and not self.is_blocked
                and self.is_zero_copy_next(self.queue.items)):
            return self.send_zero_copy()
        return 0

    cdef int send_queue(self) except -1:
        """Send by system calls, up to a datagram that has to wait or leaves in place."""
        cdef ssize_t sent
        cdef unsigned count
        cdef unsigned done = 0
        try:
            while done < self.queue.count and not self.is_losing:
                if self.is_zero_copy_next(&self.queue.items[done]):
                    break
                sent = self.send_some(done, &count)
                if sent == -EINTR:
                    continue
                if sent == -EAGAIN:
                    self.wait_for_room(&self.queue.items[done])
                    break
                done += count
                if sent < 0:
                    self.report_error(os_error(-sent, None))
        except (SystemExit, KeyboardInterrupt):
            # The interrupted one is dropped, too, as asyncio drops it.
            drop_datagrams(&self.queue, min(done + 1, self.queue.count))
            raise
        except BaseException as error:
            return self.fatal(error, "Fatal write error on datagram transport")
        drop_datagrams(&self.queue, done)
        return 0

    cdef int rest(self) except -1:
        """The queue may move again: do now what others wanted of it meanwhile."""
        if self.is_losing:
            while self.queue.count:
                drop_datagrams(&self.queue, self.queue.count)
        self.is_busy = False
        if self.queue.count and not self.is_blocked:
            self.core.want_flush(self)
        return 0

    cdef int wait_for_room(self, Outgoing *item) except -1:
        """Send on when there is room for this one.

        The kernel says of an unconnected Unix socket that it can always send. Only a socket that is
        connected to the receiver knows whether that has room, so one of ours is, for the while.
        """
        if (self.family != AF_UNIX or item.address == NULL
                or make_poll(None, self.fd, POLLOUT).attempt() <= 0):
            return self.wait_writable()
        address = (<tuple> <object> item.address)[0]
        receiver = socket_module.socket(AF_UNIX, socket_module.SOCK_DGRAM)
        try:
            receiver.connect(address)
        except OSError:
            receiver.close()
            return self.wait_writable()     # the next send says what is wrong
        if not is_resting(self.room_poll) or self.is_losing:
            receiver.close()
            return 0
        self.receiver = receiver
        self.room_poll = make_poll(self, receiver.fileno(), POLLOUT)
        self.is_blocked = True
        return self.channel.submit(self.room_poll)

    cdef ssize_t send_some(self, unsigned first, unsigned *count) except? -1:
        """Send a run or one datagram: `count` of them. Returns bytes sent, or -errno."""
        cdef ssize_t sent
        count[0] = 1
        if not self.is_one_by_one:
            count[0] = run_at(&self.queue, first, self.segment_max,
                              self.zero_copy_min if self.channel.is_started else NEVER)
        if count[0] >= RUN_MIN:
            sent = self.send_run(first, count[0])
            if sent >= 0 or sent == -EAGAIN or sent == -EINTR:
                return sent
            self.is_one_by_one = True       # each has its own error, and none another's
            count[0] = 1
            if not is_refused_whole(-sent):
                return sent
        count[0] = 1
        return self.send_one(first)

    cdef ssize_t send_run(self, unsigned first, unsigned count) except? -1:
        """Bytes sent, or -errno, which is that of the first datagram unless `is_refused_whole`."""
        cdef iovec[SEGMENTS_MAX] vector
        cdef Outgoing *item = &self.queue.items[first]
        cdef unsigned index
        cdef ssize_t sent
        describe_run(&self.queue, first, count, vector)
        sent = send_segments(self.fd, vector, count, <unsigned> item.size, item.name,
                             item.name_size)
        if sent == -EIO:
            self.segment_max = 0
        elif sent == -EINVAL or sent == -EMSGSIZE:
            self.segment_max = item.size - 1
        if sent >= 0:
            for index in range(count):
                item = &self.queue.items[first + index]
                self.count_sent(<object> item.owner, item.size)
        return sent

    cdef ssize_t send_one(self, unsigned index) except? -1:
        """Bytes sent, or -errno."""
        cdef Outgoing *item = &self.queue.items[index]
        cdef ssize_t sent
        if item.address == NULL:
            sent = zc_send_to(self.fd, item.start, item.size, item.name, item.name_size)
            if sent < 0:
                return -errno
            self.count_sent(<object> item.owner, item.size)
            return sent
        try:
            sent = self.face._sock.sendto(item.start[:item.size], (<tuple> item.address)[0])
            item = &self.queue.items[index]     # it may have moved: it was Python's turn
            self.count_sent(<object> item.owner, item.size)
            return sent
        except (BlockingIOError, InterruptedError):
            return -EAGAIN
        except OSError as error:
            self.report_error(error)    # as it is: name resolution fails with numbers of its own
            return 0

    cdef int count_sent(self, object owner, size_t size) except -1:
        """Count what was sent by a copy into the kernel."""
        cdef Account account
        self.core.sent_bytes += size
        if type(owner) is Lease:
            account = self.ensure_lender().account
            account.sent_bytes += size
        return 0

    # ---- errors ------------------------------------------------------------------------------

    cdef int report_error(self, object error) except -1:
        """Tell the protocol of an error of a send, from a callback of its own."""
        self.core.call(self._error_received, (error,), None)
        return 0

    def _error_received(self, error):
        if self.protocol is not None:
            self.deliver_error(error)

    cdef int deliver_error(self, object error) except -1:
        self.call_or_report("error_received", error, "Exception in protocol.error_received()")
        return 0

    # ---- in place ----------------------------------------------------------------------------

    cdef bint is_zero_copy_next(self, const Outgoing *item) noexcept:
        """Whether it leaves in place now: the loop runs, so that an enter follows."""
        return leaves_in_place(item, self.zero_copy_min) and self.channel.is_started

    cdef int send_zero_copy(self) except -1:
        """Submit the first datagram; it stays the first until its result is known.

        The socket counts as blocked from here on: to pin the region may log, and a log handler may
        send.
        """
        cdef Outgoing item = self.queue.items[0]
        cdef SendZeroCopy operation
        owner = <object> item.owner
        self.is_blocked = True
        try:
            operation = self.make_zero_copy(owner, item.start, item.size)
        except BaseException:
            self.is_blocked = False
            raise
        memcpy(operation.name, item.name, item.name_size)
        operation.name_size = item.name_size
        return 0 if self.is_losing else self.submit_zero_copy(operation)

    cdef int sent_zero_copy(self, int result) except -1:
        self.zero_copy_send = None
        self.is_blocked = False
        if self.is_lost:
            return self.release_fd()
        if self.is_losing:
            return 0
        if result == -EINVAL:
            self.zero_copy_min = NEVER       # an old kernel or a wrong address: send() will tell
        elif result >= 0:
            self.core.sent_bytes += result
            self.drop_sent()
        elif self.is_zero_copy_result_final(result):
            self.drop_sent()
            self.report_error(os_error(-result, None))
        self.send_now()
        if not self.is_blocked and not self.is_losing:
            self.drained(True)
        return 0

    cdef int drop_sent(self) except -1:
        """The first one is the kernel's, or refused for good."""
        self.is_busy = True
        drop_datagrams(&self.queue, 1)
        return self.rest()

    # ---- wiring ------------------------------------------------------------------------------

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        """There is room, or a send in place has a result, or the kernel lets go of its memory."""
        if operation is self.write_poll or operation is self.room_poll:
            if self.receiver is not None:
                self.receiver.close()
                self.receiver = None
            self.is_blocked = False
            if self.is_lost:
                return self.release_fd()
            if not self.is_losing:
                self.send_now()
                self.drained(True)
        elif type(operation) is SendZeroCopy:
            if flags & CQE_F_NOTIF:
                return self.notified(<SendZeroCopy> operation,
                                     <unsigned> result & NOTIF_COPIED != 0)
            return self.sent_zero_copy(result)
        return 0

    cdef size_t queued(self) noexcept:
        return self.queue.size

    cdef int clear_queue(self) except -1:
        if not self.is_busy:
            self.is_busy = True
            drop_datagrams(&self.queue, self.queue.count)
            self.is_busy = False
        if not is_resting(self.zero_copy_send):
            self.channel.cancel(self.zero_copy_send)
        return 0

    cdef int lose(self, object error) except -1:
        if not is_resting(self.room_poll):
            self.channel.cancel(self.room_poll)
        return Inlet.lose(self, error)

    cdef bint is_idle(self) noexcept:
        return is_resting(self.room_poll) and self.zero_copy_send is None

    cdef bint has_left_kernel(self) noexcept:
        return has_left(self.room_poll) and has_left(self.zero_copy_send)

    cdef int recall_operations(self) except -1:
        self.recall(self.room_poll)
        return self.recall(self.zero_copy_send)

    cdef int forget_operations(self) except -1:
        return self.forget(self.room_poll)


seal(DatagramOutput)
