"""A datagram socket, UDP or Unix, connected or not: how it receives, and what holds its parts
together.

    multishot   one request receives into slots of 64 KiB and more, again and again (Linux 6.0)
    direct      the socket is polled, and received from by system calls: where the kernel has no
                multishot receive or refuses it, and for Unix datagrams, which may be larger than
                any slot
    newest      a thread of its own receives, and the oldest give way (`Newest`)

Pages of a slot that small datagrams do not reach are never touched. An error of a receive is the
protocol's: error_received(exc).

How datagrams leave is in the bases: `DatagramSender` takes what the program sends, and
`DatagramOutput` has the queue. `DatagramDelivery` hands over what was received.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EBADF, EINTR, EINVAL, errno
from libc.stdint cimport uint32_t

from zcloop._native.kernel.address cimport AF_UNIX
from zcloop._native.kernel.clock cimport monotonic_ns
from zcloop._native.kernel.cpython cimport (
    PyBytes_New, PyBytes_Start, PyObject_Release, _PyBytes_Resize,
)
from zcloop._native.kernel.errors cimport ENOBUFS, os_error
from zcloop._native.kernel.poll cimport POLLIN
from zcloop._native.kernel.socket cimport zc_receive_from
from zcloop._native.kernel.uring cimport (
    CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE, io_uring_recvmsg_out,
)
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.memory.region cimport USED_BY_LEASE, Lease
from zcloop._native.operation.operation cimport IDLE, Operation
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.operation.receive_message cimport NAME_SIZE, make_receive_message
from zcloop._native.transport.datagram_output cimport DatagramOutput
from zcloop._native.transport.datagram_queue cimport RUN_SIZE_MAX, free_datagrams
from zcloop._native.transport.descriptor cimport has_left, is_resting
from zcloop._native.transport.newest cimport Arrived
from zcloop._native.transport.segments cimport (
    CONTROL_SIZE, is_udp, receive_segmented, segment_size,
)

from zcloop._native.transport.zero_copy import ZeroCopyDatagramProtocol

cdef object _ZeroCopyDatagramProtocol = ZeroCopyDatagramProtocol
# Bytes that a direct receive has room for: the largest UDP datagram has 65,507.
cdef Py_ssize_t DATAGRAM_MAX = 64 * 1024
# As much as asyncio receives: a Unix datagram is as large as its sender's buffer allows.
cdef Py_ssize_t UNIX_DATAGRAM_MAX = 256 * 1024
# Datagrams that are received in a row without a multishot receive; then the loop looks at others.
cdef unsigned BATCH_MAX = 64


@cython.no_gc_clear     # its fd goes with it, which needs the core
cdef class Datagram(DatagramDelivery):
    def __dealloc__(self):
        # Here, as long as all fields are there: a finalizer may call any method meanwhile. What it
        # sends is too late.
        self.is_busy = True
        free_datagrams(&self.queue)

    def set_protocol(self, protocol):
        before = self.protocol      # held: its end may set another one, when all is done
        self.protocol = protocol
        self.is_lending = isinstance(protocol, _ZeroCopyDatagramProtocol)
        if self.is_lending:
            self.ensure_lender().account.name = type(protocol).__qualname__
        elif self.lender is not None:
            self.lender.forgive()       # another protocol's views are not its fault
        if self.is_started:
            self.update_reading()
        before = None

    def start(self):
        """Receive from now on: connection_made has been called."""
        self.is_started = True
        if self.channel.has_segmented_send and is_udp(self.fd):
            self.segment_max = RUN_SIZE_MAX
        self.update_reading()

    # ---- receiving ---------------------------------------------------------------------------

    cdef int arrange_reading(self) except -1:
        if (not self.is_started or self.is_paused or self.is_closing_ or self.held is not None
                or (self.lender is not None and self.lender.account.is_waiting)):
            return self.stop_reading()
        if not self.is_fd_ours():
            return self.fail_reading(EBADF)
        if self.newest is not None:
            return self.update_newest()
        if self.receive is not None and (
                (self.receive.pool.pool is not None) != self.is_lending
                or (self.receive.message.msg_controllen != 0) != self.is_segmented):
            if self.receive.state != IDLE:
                return self.channel.cancel(self.receive)
            self.forget(self.receive)
            self.receive = None
        if self.receive is None and self.family != AF_UNIX:
            if self.is_lending:
                pool = self.channel.lending_datagram_buffers()
            elif self.is_segmented:
                pool = self.channel.segmented_buffers()
            else:
                pool = self.channel.datagram_buffers()
            if pool is not None:
                self.receive = make_receive_message(self, self.fd, pool,
                                                    CONTROL_SIZE if self.is_segmented else 0)
        if self.receive is None or self.is_direct or not self.channel.has_multishot_message:
            if self.is_segmented:       # a direct receive could not tell its datagrams apart
                self.is_segmented = False
                receive_segmented(self.fd, False)
            if self.read_poll is None:
                self.read_poll = make_poll(self, self.fd, POLLIN)
            return self.channel.submit(self.read_poll) if self.read_poll.state == IDLE else 0
        if self.receive.state == IDLE:
            return self.channel.submit(self.receive)
        return 0

    cdef int stop_reading(self) except -1:
        if self.is_closing_:
            self.drop_held()
        self.flow.leave()
        if not is_resting(self.receive):
            self.channel.cancel(self.receive)
        if not is_resting(self.read_poll):
            self.channel.cancel(self.read_poll)
        if not is_resting(self.newest_poll):
            self.channel.cancel(self.newest_poll)
        if self.is_closing_ and self.newest is not None:
            self.newest.stop()      # before the fd can be closed
        return 0

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        if operation is self.receive:
            return self.receive_completed(operation, result, flags)
        if operation is self.read_poll or operation is self.newest_poll:
            try:
                if not self.is_lost and result >= 0 and self.held is None:
                    if operation is self.read_poll:
                        self.receive_directly()
                    elif self.newest is not None:
                        self.deliver_newest()
            finally:    # KeyboardInterrupt ends the run, not the receiving
                self.rested()
            return 0
        if flags & CQE_F_BUFFER:
            operation.pool.give(flags >> CQE_BUFFER_SHIFT)      # of a receive that was exchanged
            return 0
        return DatagramOutput.completed(self, operation, result, flags)

    cdef int rested(self) except -1:
        """A receiving operation is idle: submit what is wanted now, or let the fd go."""
        if self.is_lost:
            return self.release_fd()
        return self.update_reading()

    # ---- multishot ---------------------------------------------------------------------------

    @cython.final
    cdef int receive_completed(self, Operation operation, int result, uint32_t flags) except -1:
        cdef unsigned slot = flags >> CQE_BUFFER_SHIFT
        cdef BufferRing pool = operation.pool       # user code may exchange the operation
        try:
            if flags & CQE_F_BUFFER:
                if not self.is_closing_ and result >= 0:
                    self.received(slot, result)
        finally:
            if flags & CQE_F_BUFFER:
                pool.give(slot)
            if not flags & CQE_F_MORE:
                if operation is self.receive:
                    self.ended(result)
                else:
                    self.rested()
        return 0

    cdef int ended(self, int result) except -1:
        """The multishot receive is over, and all that it brought was delivered."""
        try:
            if result == -ENOBUFS:
                if not self.is_paused and not self.is_closing_ and self.held is None:
                    return self.channel.starve(self.receive)
            elif result == -EINVAL:
                # A kernel before 6.0, or an error of the socket's own: a direct receive will tell.
                self.is_direct = True
                if not self.channel.is_multishot_message_proven:
                    self.channel.has_multishot_message = False
            elif result < 0 and not self.is_closing_:
                self.hold_or_deliver_error(-result)
        finally:
            if is_resting(self.receive):
                self.rested()
        return 0

    cdef int received(self, unsigned index, int result) except -1:
        """A slot has a datagram, or several of one sender (UDP_GRO)."""
        cdef const char *slot = self.receive.pool.slot(index)
        cdef const io_uring_recvmsg_out *header = <const io_uring_recvmsg_out *> slot
        cdef const char *name = slot + sizeof(io_uring_recvmsg_out)
        cdef const char *control = name + NAME_SIZE
        cdef const char *payload = control + self.receive.message.msg_controllen
        cdef Py_ssize_t segment = 0
        cdef Py_ssize_t size = result - <Py_ssize_t> (payload - slot)
        if size < 0:
            return 0
        self.channel.is_multishot_message_proven = True
        if self.flow.note(size):
            self.flow.advance(monotonic_ns())
        self.core.received_bytes += size
        if not self.is_lending:
            self.core.copied_bytes += size
        address = self.addresses.decode(name, header.namelen) if header.namelen else None
        if header.controllen:
            segment = segment_size(control, header.controllen)
        if segment == 0 or segment > size:
            segment = size
        if self.is_lending:
            data = self.lender.lend_slot(self.receive.pool, index, payload - slot, size)
            if segment < size:
                return self.deliver_views(data, segment, address)
        elif segment < size:
            return self.deliver_segments(payload, size, segment, address)
        else:
            data = PyBytes_FromStringAndSize(payload, size)
        return self.hold_or_deliver(data, address)

    def set_segmented_receive(self, bint is_wanted):
        if self.newest is not None or self.family == AF_UNIX:
            raise ValueError("segmented receive is for UDP, and not with the policy 'latest'")
        if not self.channel.has_multishot_message:
            raise NotImplementedError("segmented receive needs multishot receives (Linux 6.0)")
        cdef int failed = receive_segmented(self.fd, is_wanted)
        if failed < 0:
            raise os_error(-failed, "UDP_GRO")
        self.is_segmented = is_wanted
        self.update_reading()

    # ---- direct ------------------------------------------------------------------------------

    cdef int receive_directly(self) except -1:
        """Receive what is there, but not so many that others would wait for long."""
        cdef char[NAME_SIZE] name
        cdef unsigned name_size
        cdef size_t size = UNIX_DATAGRAM_MAX if self.family == AF_UNIX else DATAGRAM_MAX
        cdef int count = 0
        while (count < BATCH_MAX and not (self.is_paused or self.is_closing_)
               and self.is_fd_ours()):
            count += 1
            name_size = NAME_SIZE
            if self.is_lending:
                data = self.receive_view(size, name, &name_size)
            else:
                data = self.receive_bytes(size, name, &name_size)
            if isinstance(data, int):
                if data == EAGAIN or data == EINTR:
                    self.read_poll.in_vain()
                else:
                    self.hold_or_deliver_error(data)
                return 0
            self.deliver(data, self.addresses.decode(name, name_size) if name_size else None)
        return 0

    cdef object receive_bytes(self, size_t size, char *name, unsigned *name_size):
        """Receive one datagram as bytes. Returns an errno if that is refused."""
        cdef PyObject *data = PyBytes_New(NULL, size)
        cdef ssize_t got = zc_receive_from(self.fd, PyBytes_Start(data), size, name, name_size)
        cdef int failed = errno
        if got < 0:
            PyObject_Release(data)
            return failed
        self.core.received_bytes += got
        _PyBytes_Resize(&data, got)
        payload = <bytes> data
        PyObject_Release(data)
        return payload

    cdef object receive_view(self, size_t size, char *name, unsigned *name_size):
        """Receive one datagram as a view of a lease, or of a copy if it is small or no block is
        free. Returns an errno if that is refused."""
        cdef Lease lease = self.lender.take(size, USED_BY_LEASE)
        cdef ssize_t got
        if lease is None:
            data = self.receive_bytes(size, name, name_size)
            if isinstance(data, int):
                return data
            return self.lender.starve(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        got = zc_receive_from(self.fd, lease.data, size, name, name_size)
        if got < 0:
            return errno
        self.core.received_bytes += got
        if <size_t> got <= self.lender.copybreak:
            return self.lender.copy(lease.data, got)
        return self.lender.lend(lease, got)

    # ---- newest ------------------------------------------------------------------------------

    def set_receive_policy(self, str policy, unsigned depth=1):
        if policy not in ("all", "latest"):
            raise ValueError(f"a receive policy is 'all' or 'latest', not {policy!r}")
        if self.is_closing_:
            raise RuntimeError("the transport is closing")
        if self.is_segmented and policy == "latest":
            raise ValueError("the policy 'latest' does not go with segmented receive")
        cdef Newest newest = None
        if policy == "latest":
            newest = Newest(self.ensure_lender(), self.fd, depth)
        if self.newest is not None:
            self.newest.stop()
            if not is_resting(self.newest_poll):
                self.channel.cancel(self.newest_poll)
            self.newest_poll = None
        self.newest = newest
        if newest is not None:
            newest.start()
        self.stop_reading()
        self.update_reading()

    @property
    def dropped(self):
        """Datagrams sacrificed to newer ones by the policy in force."""
        return 0 if self.newest is None else self.newest.dropped

    cdef int update_newest(self) except -1:
        """Leave the socket to the thread: receives of the loop end first, then the thread's eventfd
        is polled."""
        if not is_resting(self.receive):
            return self.channel.cancel(self.receive)
        if not is_resting(self.read_poll):
            return self.channel.cancel(self.read_poll)
        if self.newest_poll is None:
            self.newest_poll = make_poll(self, self.newest.event_fd(), POLLIN)
        if self.newest_poll.state == IDLE:
            return self.channel.submit(self.newest_poll)
        return 0

    cdef int deliver_newest(self) except -1:
        """Deliver at most as many as are kept. One by one: what waits may still give way."""
        cdef Newest newest = self.newest
        cdef int failed = newest.pop_error()
        newest.forget_event()
        try:
            if failed:
                self.hold_or_deliver_error(failed)
            self.deliver_taken(newest)
        finally:    # after an interrupt, too: nobody else tells of what is left
            newest.look_again()
        return 0

    cdef int deliver_taken(self, Newest newest) except -1:
        cdef Arrived taken
        cdef unsigned count = 0
        while (count < newest.shelf.depth and not (self.is_paused or self.is_closing_)
               and self.newest is newest and newest.take(&taken)):
            count += 1
            try:
                if self.is_lending:
                    data = newest.lend(self.lender, &taken)
                else:
                    data = PyBytes_FromStringAndSize(newest.shelf.memory[taken.block], taken.size)
                    self.core.copied_bytes += taken.size
            finally:
                newest.give(&taken)
            self.core.received_bytes += taken.size
            self.deliver(data, self.addresses.decode(taken.name, taken.name_size)
                         if taken.name_size else None)
            data = None
        return 0

    # ---- ending ------------------------------------------------------------------------------

    cdef bint is_idle(self) noexcept:
        return (is_resting(self.receive) and is_resting(self.read_poll)
                and is_resting(self.newest_poll) and DatagramOutput.is_idle(self))

    cdef bint has_left_kernel(self) noexcept:
        return (has_left(self.receive) and has_left(self.read_poll)
                and has_left(self.newest_poll) and DatagramOutput.has_left_kernel(self))

    cdef int recall_operations(self) except -1:
        self.recall(self.receive)
        self.recall(self.read_poll)
        self.recall(self.newest_poll)
        return DatagramOutput.recall_operations(self)

    cdef int forget_operations(self) except -1:
        self.forget(self.read_poll)
        self.forget(self.newest_poll)
        self.forget(self.receive)
        self.newest = None
        return DatagramOutput.forget_operations(self)
