"""A datagram socket, UDP or Unix, connected or not.

Datagrams arrive by one multishot receive into slots of 64 KiB and more (the pages of a slot that
small datagrams do not reach are never touched). Unix datagrams may be larger than any slot: they
are received one by one when the socket is readable. `sendto` is one system call, and the datagram
is the kernel's when it returns. What `sendto_many` is given leaves in runs of one size to one
address, a call each (UDP_SEGMENT), unless the kernel, the socket or the path cannot.

A datagram that the socket's buffer has no room for stays in the queue, in order, until a poll says
that there is room; other errors of a send or a receive are the protocol's: error_received(exc).
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport EAGAIN, EBADF, EINTR, EINVAL, EIO, EMSGSIZE, errno
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memmove

import socket as socket_module
from asyncio import constants
from asyncio.log import logger

from zcloop._native.kernel.collector cimport hold_collector, let_collector_go
from zcloop._native.kernel.errors cimport ECANCELED, ENOBUFS, os_error
from zcloop._native.kernel.uring cimport (
    CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE, CQE_F_NOTIF, NOTIF_COPIED,
    io_uring_recvmsg_out,
)
from zcloop._native.memory.account cimport Account
from zcloop._native.memory.region cimport USED_BY_LEASE, Lease, lease_of
from zcloop._native.operation.operation cimport IDLE, Operation
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.operation.receive_message cimport NAME_SIZE, make_receive_message
from zcloop._native.kernel.uio cimport iovec
from zcloop._native.operation.send_zero_copy cimport SendZeroCopy
from zcloop._native.kernel.address cimport AF_UNIX, is_same_machine
from zcloop._native.kernel.cpython cimport (
    PyBytes_New, PyBytes_Start, PyObject_Release, _PyBytes_Resize,
)
from zcloop._native.kernel.limits cimport NEVER
from zcloop._native.kernel.poll cimport POLLIN, POLLOUT
from zcloop._native.kernel.socket cimport zc_receive_from, zc_send_to
from zcloop._native.pacing.datagram_flow cimport make_datagram_flow
from zcloop._native.transport.descriptor cimport has_left, is_resting
from zcloop._native.transport.lease_holder cimport ZERO_COPY_ALWAYS, ZERO_COPY_UNDECIDED
from zcloop._native.transport.newest cimport Arrived
from zcloop._native.transport.segments cimport (
    CONTROL_SIZE, SEGMENTS_MAX, is_plain, is_refused_whole, is_udp, receive_segmented,
    segment_size, send_segments,
)
from zcloop._native.transport.write_queue cimport as_piece, owner_of

from zcloop._native.transport.zero_copy import ZeroCopyDatagramProtocol

cdef object _ZeroCopyDatagramProtocol = ZeroCopyDatagramProtocol
cdef Py_ssize_t DATAGRAM_MAX = 65536
# As asyncio receives; a Unix datagram is as large as its sender's buffer allows.
cdef Py_ssize_t UNIX_DATAGRAM_MAX = 256 * 1024
# From so many bytes on a datagram of a lease is worth a second completion, if it is not cut into
# fragments: these are always copied. Below the least nobody asks, whatever the mode is.
cdef size_t ZERO_COPY_MIN = 32 * 1024
cdef size_t ZERO_COPY_LEAST = 1024
# So many are received in a row without a multishot receive, then the loop looks at the others.
cdef unsigned BATCH_MAX = 64
# A run of segments is one datagram to the kernel until it leaves.
cdef size_t RUN_SIZE_MAX = 65000
# From so many datagrams on a run is worth it (2: 0.7 to 0.85 of two sends, 4: 0.45).
cdef unsigned RUN_MIN = 3
# What a queued datagram counts beside its payload, so that empty ones are bounded too.
cdef size_t HEADER_SIZE = 8


@cython.no_gc_clear     # its fd goes with it, which needs the core
cdef class Datagram(Endpoint):
    def __cinit__(self, core, int fd):
        self.addresses = AddressCache.__new__(AddressCache)
        self.flow = make_datagram_flow(self.core.channel.coalescing, self.fd)

    def __dealloc__(self):
        self.is_busy = True     # what a finalizer does with it now is too late
        if self.queue_count:    # else it may be no whole Datagram: what derives calls what it has
            self.drop_first(self.queue_count)
        free(self.queue)

    cdef str noun(self):
        return "datagram"

    def open(self, int family, remote):
        """Before `attach`: the address family, and the remote address that sendto defaults to."""
        self.family = family
        self.remote = remote
        self.is_connected = self.peer_head != 0

    def set_protocol(self, protocol):
        before = self.protocol      # held: its end may set another one, when all is done
        self.protocol = protocol
        self.is_lending = isinstance(protocol, _ZeroCopyDatagramProtocol)
        if self.is_lending:
            self.ensure_lender().account.name = type(protocol).__qualname__
        elif self.lender is not None:
            self.lender.account.relieve(NEVER)      # another protocol's views are not its fault
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
            if self.is_segmented:       # a direct receive could not tell them apart
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

    # ---- only the newest ---------------------------------------------------------------------

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
        """The thread has the socket: first ends what the loop had in flight on it."""
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
        """As many as are kept at most; between two of them the older may still give way."""
        cdef Newest newest = self.newest
        cdef int failed = newest.take_error()
        newest.forget_event()
        try:
            if failed:
                self.refused(failed)
            self.deliver_taken(newest)
        finally:    # also of an interrupt: nobody else tells of what is left
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

    cdef int receive_directly(self) except -1:
        """Without a multishot receive: the fd is readable, so take some datagrams, not all."""
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
                    self.refused(data)
                return 0
            self.deliver(data, self.addresses.decode(name, name_size) if name_size else None)
        return 0

    cdef object receive_bytes(self, size_t size, char *name, unsigned *name_size):
        """One datagram as bytes, or an errno."""
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
        """One datagram as a view of a lease, or a copy where that is due; or an errno."""
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

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        cdef unsigned slot = flags >> CQE_BUFFER_SHIFT
        if operation is self.receive:
            pool = operation.pool       # user code may exchange the operation
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
        if operation is self.read_poll:
            try:
                if not self.is_lost and result >= 0 and self.held is None:
                    self.receive_directly()
            finally:    # KeyboardInterrupt ends the run, not the receiving
                self.rested()
            return 0
        if operation is self.newest_poll:
            try:
                if not self.is_lost and result >= 0 and self.newest is not None and (
                        self.held is None):
                    self.deliver_newest()
            finally:
                self.rested()
            return 0
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
        elif flags & CQE_F_BUFFER:
            operation.pool.give(slot)       # of a receive that was exchanged
        return 0

    cdef int rested(self) except -1:
        """A receiving operation is idle: submit what is wanted now, or let the fd go."""
        if self.is_lost:
            return self.release_fd()
        return self.update_reading()

    cdef int ended(self, int result) except -1:
        """The multishot receive is over, after everything it brought."""
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
                self.refused(-result)
        finally:
            if is_resting(self.receive):
                self.rested()
        return 0

    cdef int received(self, unsigned index, int result) except -1:
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
        self.flow.note(size)
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
        return self.deliver_or_hold(data, address)

    cdef int deliver_segments(self, const char *data, Py_ssize_t size, Py_ssize_t segment,
                              object address) except -1:
        """The datagrams of one slot, which is ours meanwhile, unless the process forks."""
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t end
        try:
            while start < size and not self.is_closing_ and not self.channel.is_forked:
                end = min(start + segment, size)
                piece = PyBytes_FromStringAndSize(data + start, end - start)
                start = end
                self.deliver_or_hold(piece, address)
                piece = None
        finally:
            if start < size and not self.is_closing_ and not self.channel.is_forked:
                self.held = [(data[rest:min(rest + segment, size)], address)    # interrupted
                             for rest in range(start, size, segment)]
                self.core.call(self._deliver_held, (), None)
        return 0

    cdef int deliver_views(self, object data, Py_ssize_t segment, object address) except -1:
        """The datagrams of one buffer: slices of its view."""
        cdef Py_ssize_t size = len(data)
        cdef Py_ssize_t start = 0
        try:
            while start < size and not self.is_closing_:
                start += segment
                self.deliver_or_hold(data[start - segment:start], address)
        finally:
            if start < size and not self.is_closing_:       # interrupted
                self.held = [(data[rest:rest + segment], address)
                             for rest in range(start, size, segment)]
                self.core.call(self._deliver_held, (), None)
            if type(data) is memoryview:
                data.release()
        return 0

    cdef int deliver_or_hold(self, object data, object address) except -1:
        if self.held is not None:
            self.held.append((data, address))
            return 0
        if self.is_paused:
            self.held = [(data, address)]
            return 0
        return self.deliver(data, address)

    cdef int refused(self, int errno_) except -1:
        if errno_ in (ECANCELED, EINTR, EAGAIN):
            return 0
        if self.held is not None:
            self.held.append(errno_)
        elif self.is_paused:
            self.held = [errno_]
        else:
            self.deliver_error(os_error(errno_, None))
        return 0

    cdef int deliver(self, object data, object address) except -1:
        if self.is_lending:
            if type(data) is not memoryview:
                data = memoryview(bytearray(data))      # held since before set_protocol
        elif type(data) is memoryview:
            view, data = data, bytes(data)
            view.release()
        try:
            self.protocol_call_two("datagram_buffer_received" if self.is_lending
                                   else "datagram_received", data, address)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # As for any callback: logged, and the endpoint goes on.
            self.report("Exception in the protocol's call for a datagram" if self.is_lending
                        else "Exception in protocol.datagram_received()", error)
        data = None
        if self.is_lending and self.lender.account.is_over():
            self.pause_if_over_quota()
        return 0

    cdef int deliver_error(self, object error) except -1:
        self.call_or_report("error_received", error, "Exception in protocol.error_received()")
        return 0

    def _error_received(self, error):
        if self.protocol is not None:
            self.deliver_error(error)

    def pause_reading(self):
        if self.is_closing_ or self.is_paused:
            return
        self.is_paused = True
        self.stop_reading()

    def resume_reading(self):
        if self.is_closing_ or not self.is_paused:
            return
        self.is_paused = False
        if self.held is not None:
            self.core.call(self._deliver_held, (), None)
        else:
            self.update_reading()

    def _deliver_held(self):
        """Hand over what arrived during a pause, oldest first, until paused again."""
        try:
            while self.held and not self.is_paused and not self.is_closing_:
                item = self.held[0]
                del self.held[0]
                if isinstance(item, tuple):
                    data, address = item
                    item = None
                    self.deliver(data, address)
                    data = None
                else:
                    self.deliver_error(os_error(item, None))
        finally:
            if self.is_closing_:
                self.drop_held()
            elif not self.held:
                self.held = None
            if not self.is_paused and not self.is_closing_:
                if self.held is not None:
                    self.core.call(self._deliver_held, (), None)    # interrupted
                else:
                    self.update_reading()

    # ---- sending -----------------------------------------------------------------------------

    def sendto(self, data, addr=None):
        """Accept one datagram for sending; never blocks, but to resolve a host name.

        Raises TypeError for what is not bytes-like, ValueError for an address other than the
        connected one. Copies unless `data` is bytes or a view of a lease.
        """
        cdef char[CACHED_SIZE] name
        cdef int name_size = 0
        cdef const char *start
        cdef size_t size
        cdef bint is_zero_copy = False
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError("data argument must be a bytes-like object, "
                            f"not {type(data).__name__!r}")
        if self.remote is not None:
            if addr is not None and addr != self.remote:
                raise ValueError(f"Invalid address: must be None or {self.remote}")
            addr = self.remote
        if self.is_losing:
            if self.remote is not None:
                if self.ignore_write() >= <unsigned> constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                    logger.warning("socket.send() raised exception.")
            return
        owner = lease_of(data, &start, &size) if type(data) is memoryview else None
        if owner is None:
            owner = data if type(data) is bytes else bytes(data)
            start = PyBytes_AS_STRING(owner)
            size = PyBytes_GET_SIZE(owner)
            if owner is not data:
                self.core.copied_bytes += size
        if not self.is_connected:
            name_size = self.addresses.encode(addr, self.family, name)
        address = None if name_size or self.is_connected else (addr,)
        if size >= ZERO_COPY_LEAST and type(owner) is Lease:
            is_zero_copy = self.is_worth_zero_copy(size, name, name_size)
        if self.is_losing:
            return      # aborted by the code of `addr`, or by a signal handler
        if self.queue_count == 0 and address is None and not (is_zero_copy or self.is_busy):
            if self.send_at_once(owner, start, size, name, name_size):
                return
        self.append(owner, start, size, name, name_size, address, is_zero_copy)
        if not self.is_blocked:
            self.send_now()
        self.pause_if_high()

    cdef bint send_at_once(self, object owner, const char *start, size_t size, const char *name,
                           unsigned name_size) except -1:
        """False when the socket's buffer has no room for it. An error is the protocol's."""
        cdef ssize_t sent
        if not self.is_fd_ours():
            self.fail_writing(EBADF)
            return True
        sent = zc_send_to(self.fd, start, size, name, name_size)
        if sent >= 0:
            self.flow.sent += 1
            self.count_sent(owner, size)
        elif errno == EAGAIN or errno == EINTR:
            return False
        else:
            self.core.call(self._error_received, (os_error(errno, None),), None)
        return True

    # ---- many in one system call -------------------------------------------------------------

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

    def sendto_many(self, datagrams, addr=None):
        cdef char[CACHED_SIZE] name
        cdef int name_size = 0
        cdef const char *start
        cdef size_t size
        pieces = []
        for data in datagrams:
            piece = as_piece(data)
            if type(piece) is bytes and piece is not data:
                self.core.copied_bytes += len(piece)
            pieces.append(piece)
        if self.remote is not None:
            if addr is not None and addr != self.remote:
                raise ValueError(f"Invalid address: must be None or {self.remote}")
            addr = self.remote
        if not self.is_connected:
            if addr is None:
                raise ValueError("no address: give addr=, or make the endpoint with remote_addr=")
            name_size = self.addresses.encode(addr, self.family, name)
        address = None if name_size or self.is_connected else (addr,)
        if self.is_losing:
            return
        for piece in pieces:
            owner = owner_of(piece, &start, &size)
            self.append(owner, start, size, name, name_size, address, False)
        if self.queue_count and not self.is_blocked:
            self.send_now()
        self.pause_if_high()

    cdef int append(self, object owner, const char *start, size_t size, const char *name,
                    unsigned name_size, object address, bint is_zero_copy) except -1:
        cdef void *grown
        cdef Outgoing *item
        if self.queue_count == self.queue_capacity:
            grown = realloc(self.queue, (self.queue_capacity * 2 + 16) * sizeof(Outgoing))
            if grown == NULL:
                raise MemoryError("datagram queue")
            self.queue = <Outgoing *> grown
            self.queue_capacity = self.queue_capacity * 2 + 16
        item = &self.queue[self.queue_count]
        Py_INCREF(owner)
        item.owner = <PyObject *> owner
        item.start = start
        item.size = size
        item.name_size = name_size
        item.is_zero_copy = is_zero_copy
        memcpy(item.name, name, name_size)
        item.address = NULL
        if address is not None:
            Py_INCREF(address)
            item.address = <PyObject *> address
            self.object_count += 1
        self.queue_count += 1
        self.queue_size += size + HEADER_SIZE
        self.flow.sent += 1
        return 0

    cdef int release(self, Outgoing *item) except -1:
        cdef PyObject *owner = item.owner       # the queue may move in what follows
        cdef PyObject *address = item.address
        self.queue_size -= item.size + HEADER_SIZE
        self.object_count -= address != NULL
        Py_DECREF(<object> owner)
        if address != NULL:
            Py_DECREF(<object> address)
        return 0

    cdef int drop_first(self, unsigned count) except -1:
        """The oldest `count` are sent or given up; only while `is_busy`."""
        cdef unsigned index
        for index in range(count):
            self.release(&self.queue[index])
        self.queue_count -= count
        if count and self.queue_count:
            memmove(self.queue, self.queue + count, self.queue_count * sizeof(Outgoing))
        return 0

    cdef int rest(self) except -1:
        """The queue may move again: what others wanted of it meanwhile is done now."""
        if self.is_losing:
            while self.queue_count:
                self.drop_first(self.queue_count)
        self.is_busy = False
        if self.queue_count and not self.is_blocked:
            self.core.want_flush(self)
        return 0

    cdef int flush(self) except -1:
        """What was added while the queue was being sent."""
        if self.is_blocked or self.is_busy or self.is_losing or self.queue_count == 0:
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
        self.is_one_by_one = (self.segment_max == 0 or self.queue_count < RUN_MIN
                              or not is_plain(self.fd))
        self.is_busy = True
        try:
            self.send_queue()
        finally:
            self.rest()
        if self.queue_count and not self.is_blocked and self.is_zero_copy_next(self.queue):
            return self.send_zero_copy()
        return 0

    cdef int send_queue(self) except -1:
        """By system calls, up to what has to wait or goes without a copy."""
        cdef ssize_t sent
        cdef unsigned count
        cdef unsigned done = 0
        try:
            while done < self.queue_count and not self.is_losing:
                if self.is_zero_copy_next(&self.queue[done]):
                    break
                sent = self.send_some(done, &count)
                if sent == -EINTR:
                    continue
                if sent == -EAGAIN:
                    self.wait_for_room(&self.queue[done])
                    break
                done += count
                if sent < 0:
                    self.core.call(self._error_received, (os_error(-sent, None),), None)
        except (SystemExit, KeyboardInterrupt):
            self.drop_first(min(done + 1, self.queue_count))    # the interrupted one, too, as
            raise                                               # asyncio drops it
        except BaseException as error:
            return self.fatal(error, "Fatal write error on datagram transport")
        return self.drop_first(done)

    cdef int wait_for_room(self, Outgoing *item) except -1:
        """Of an unconnected Unix socket the kernel says that it can always send. Whether a
        receiver has room, a socket knows that is connected to it: one of ours, for the while."""
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

    cdef int lose(self, object error) except -1:
        if not is_resting(self.room_poll):
            self.channel.cancel(self.room_poll)
        return Endpoint.lose(self, error)

    cdef ssize_t send_some(self, unsigned first, unsigned *count) except? -1:
        """A run, or one datagram; bytes sent, or -errno, and of how many in `count`."""
        cdef ssize_t sent
        count[0] = 1 if self.is_one_by_one else self.run_at(first)
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

    cdef unsigned run_at(self, unsigned first) noexcept:
        """How many datagrams from this one on can leave together: to one address and of one size,
        but for a shorter last one."""
        cdef Outgoing *head = &self.queue[first]
        cdef Outgoing *item = head
        cdef size_t size = head.size
        cdef unsigned count = 1
        if head.size == 0 or head.size > self.segment_max or head.address != NULL:
            return 1
        while (item.size == head.size and count < SEGMENTS_MAX
               and first + count < self.queue_count):
            item = &self.queue[first + count]
            size += item.size
            if (item.size == 0 or item.size > head.size or size > RUN_SIZE_MAX
                    or item.address != NULL or self.is_zero_copy_next(item)
                    or item.name_size != head.name_size
                    or memcmp(item.name, head.name, item.name_size)):
                break
            count += 1
        return count

    cdef ssize_t send_run(self, unsigned first, unsigned count) except? -1:
        """Bytes sent, or -errno, which is that of the first datagram unless `is_refused_whole`."""
        cdef iovec[SEGMENTS_MAX] vector
        cdef Outgoing *item = &self.queue[first]
        cdef unsigned index
        cdef ssize_t sent
        for index in range(count):
            vector[index].iov_base = <void *> self.queue[first + index].start
            vector[index].iov_len = self.queue[first + index].size
        sent = send_segments(self.fd, vector, count, <unsigned> item.size, item.name,
                             item.name_size)
        if sent == -EIO:
            self.segment_max = 0
        elif sent == -EINVAL or sent == -EMSGSIZE:
            self.segment_max = item.size - 1
        if sent >= 0:
            for index in range(count):
                item = &self.queue[first + index]
                self.count_sent(<object> item.owner, item.size)
        return sent

    cdef ssize_t send_one(self, unsigned index) except? -1:
        """Bytes sent, or -errno."""
        cdef Outgoing *item = &self.queue[index]
        cdef ssize_t sent
        if item.address == NULL:
            sent = zc_send_to(self.fd, item.start, item.size, item.name, item.name_size)
            if sent < 0:
                return -errno
            self.count_sent(<object> item.owner, item.size)
            return sent
        try:
            sent = self.face._sock.sendto(item.start[:item.size], (<tuple> item.address)[0])
            item = &self.queue[index]       # which may have moved: it was Python's turn
            self.count_sent(<object> item.owner, item.size)
            return sent
        except (BlockingIOError, InterruptedError):
            return -EAGAIN
        except OSError as error:
            # Name resolution fails with numbers of its own: hand the exception on as it is.
            self.core.call(self._error_received, (error,), None)
            return 0

    cdef int count_sent(self, object owner, size_t size) except -1:
        """It was sent by a copy into the kernel."""
        cdef Account account
        self.core.sent_bytes += size
        if type(owner) is Lease:
            account = self.ensure_lender().account
            account.sent_bytes += size
        return 0

    cdef size_t queued(self) noexcept:
        return self.queue_size

    cdef int clear_queue(self) except -1:
        if not self.is_busy:
            self.is_busy = True
            self.drop_first(self.queue_count)
            self.is_busy = False
        if not is_resting(self.zero_copy_send):
            self.channel.cancel(self.zero_copy_send)
        return 0

    # ---- without a copy ----------------------------------------------------------------------

    cdef bint is_worth_zero_copy(self, size_t size, const char *name,
                                 unsigned name_size) except -1:
        """Whether this is large enough and, as far as can be told, leaves the machine."""
        if self.zero_copy_mode == ZERO_COPY_UNDECIDED:
            self.choose_zero_copy(ZERO_COPY_MIN, self.family != AF_UNIX)
        if size < self.zero_copy_min:
            return False
        if self.zero_copy_mode == ZERO_COPY_ALWAYS:
            return True
        remote = name[:name_size] if name_size else self.raw_peer()
        return not is_same_machine(self.raw_local(), remote)

    cdef bint is_zero_copy_next(self, Outgoing *item) noexcept:
        """Whether it is to be sent from its lease, and an enter follows."""
        return (item.is_zero_copy and item.size >= self.zero_copy_min and item.address == NULL
                and self.channel.is_started)

    cdef int send_zero_copy(self) except -1:
        """Submit the first datagram; it stays the first until its result is known.

        The socket counts as blocked from here on: to pin the region may log, and a log handler may
        send.
        """
        cdef Outgoing item = self.queue[0]
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
            self.zero_copy_min = NEVER  # an old kernel or a wrong address: send() will tell
        elif result >= 0:
            self.core.sent_bytes += result
            self.drop_sent()
        elif self.is_zero_copy_result_final(result):
            self.drop_sent()
            self.core.call(self._error_received, (os_error(-result, None),), None)
        self.send_now()
        if not self.is_blocked and not self.is_losing:
            self.drained(True)
        return 0

    cdef int drop_sent(self) except -1:
        self.is_busy = True
        self.drop_first(1)
        return self.rest()

    # ---- ending ------------------------------------------------------------------------------

    cdef bint is_idle(self) noexcept:
        return (is_resting(self.receive) and is_resting(self.read_poll)
                and is_resting(self.newest_poll) and is_resting(self.room_poll)
                and self.zero_copy_send is None)

    cdef bint has_left_kernel(self) noexcept:
        return (has_left(self.receive) and has_left(self.read_poll)
                and has_left(self.newest_poll) and has_left(self.room_poll)
                and has_left(self.zero_copy_send))

    cdef int recall_operations(self) except -1:
        self.recall(self.receive)
        self.recall(self.read_poll)
        self.recall(self.newest_poll)
        self.recall(self.room_poll)
        return self.recall(self.zero_copy_send)

    cdef int forget_operations(self) except -1:
        self.forget(self.read_poll)
        self.forget(self.newest_poll)
        self.forget(self.room_poll)
        self.newest = None
        return self.forget(self.receive)
