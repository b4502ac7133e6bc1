"""A connected stream socket: what the kernel brings goes up to a protocol, what it writes, down.

Receiving has two ways, and a stream changes between them by what it sees:

    ring    a multishot receive into the loop's shared slots: one completion a message, no system
            call of its own. Every stream begins here, and small messages stay here.
    bulk    two filled slots in a row: a one-shot poll, then one recv of up to 256 KiB straight
            into the bytes object that the protocol gets (or into a BufferedProtocol's buffer),
            and more at once while a busy sender keeps filling the socket.
            16 receives in a row that a slot would have held lead back.

A ZeroCopyProtocol gets views: of the block behind the slot in the ring, of a block that the recv
went to in bulk. What it holds over its quota pauses this stream alone, until half is back.

What is written is the kernel's when `write` returns, as far as its buffer takes it. A small write
to a TCP socket is held back by the kernel (MSG_MORE) where more is to come: the transport writes
several times in a row, or the turn has others to serve; `flush` pushes it at the end of the turn.
Answers of one turn so leave together and in few segments, and are there all the same if the
program blocks, exits, execs or shuts the socket down. `queue` holds what found no room; while
the socket's buffer is full (`is_blocked`) a one-shot poll waits for it.

    data is delivered only if started, not paused, not closing, and nothing older is held

Rejected: keeping small writes in user space until the end of the turn, and a send SQE for each
(bytes that were written and are lost by `os._exit`, overtaken by a child's, cut off by a shutdown).
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_READ, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from libc.errno cimport EAGAIN, EBADF, ECONNRESET, EINTR, EINVAL, EPIPE, errno
from libc.string cimport memcpy, memset

from asyncio import constants, protocols
from asyncio.log import logger

from zcloop._native.channel.buffer_rings cimport FLOOD
from zcloop._native.kernel.collector cimport hold_collector, let_collector_go
from zcloop._native.kernel.errors cimport ECANCELED, ENOBUFS, os_error
from zcloop._native.kernel.tcp cimport corked
from zcloop._native.kernel.uio cimport iovec, msghdr
from zcloop._native.kernel.uring cimport (
    CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE, CQE_F_NOTIF, NOTIF_COPIED,
)
from zcloop._native.memory.account cimport Account
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.memory.region cimport Lease, lease_of
from zcloop._native.operation.operation cimport IDLE, Operation
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.operation.receive cimport make_receive
from zcloop._native.operation.send_zero_copy cimport SendZeroCopy
from zcloop._native.kernel.address cimport AF_INET, AF_INET6, family_in, is_same_machine
from zcloop._native.kernel.cpython cimport (
    PyBytes_New, PyBytes_Start, PyMemoryView_GET_BUFFER, PyMemoryView_GetContiguous,
    PyObject_Release, _PyBytes_Resize,
)
from zcloop._native.kernel.poll cimport POLLIN, POLLRDHUP
from zcloop._native.kernel.socket cimport (
    MSG_DONTWAIT, MSG_MORE, MSG_NOSIGNAL, SHUT_WR, recv, send, sendmsg, shutdown,
)
from zcloop._native.transport.endpoint cimport ZERO_COPY_UNDECIDED, has_left, is_resting
from zcloop._native.transport.low_water_mark cimport make_low_water_mark
from zcloop._native.transport.native_protocol cimport NativeProtocol
from zcloop._native.transport.tls cimport TlsRecords
from zcloop._native.transport.write_queue cimport PIECES_MAX, Piece, WriteQueue, as_piece, owner_of

from zcloop._native.transport.zero_copy import ZeroCopyProtocol

# From here on a write fills segments of its own: to hold back its last one gains nothing.
cdef size_t JOINED_MAX = 32 * 1024
# A lease of so many bytes may be sent without a copy into the kernel.
cdef size_t LEASE_SEND_MIN = 4096
cdef size_t BULK_SIZE = 256 * 1024
# A block to receive into when a protocol takes leases; what stays empty of it is free at once.
cdef size_t LEASE_SIZE = 256 * 1024
cdef size_t BULK_SLOT_SIZE = 16 * 1024
# From so many bytes on a piece of a lease is worth pinning pages and a second completion.
cdef size_t ZERO_COPY_MIN = 32 * 1024
cdef size_t NEVER = <size_t> -1
cdef size_t SMALL_READ_MAX = 8192
# From so many bytes on there may be more by now; others are kept waiting for no more than 2 MiB.
cdef size_t READ_AGAIN_MIN = 32 * 1024
cdef uint8_t VAIN_READ_POLLS = 3
cdef enum:
    READS_MAX = 8
cdef uint8_t FULL_SLOTS_TO_BULK = 2
cdef uint8_t SMALL_READS_TO_RING = 16
# 2 MiB, and nothing was written meanwhile: nobody waits for an answer. Receives of the turn's pace
# then leave the socket's buffer full and its data cold; a multishot one empties it at each enter.
cdef uint8_t FULL_READS_TO_FLOOD = 8
cdef object DATA_RECEIVED = "data_received"
cdef object GET_BUFFER = "get_buffer"
cdef object BUFFER_UPDATED = "buffer_updated"
cdef object EOF_RECEIVED = "eof_received"
cdef object BUFFER_RECEIVED = "buffer_received"
cdef object _BufferedProtocol = protocols.BufferedProtocol
cdef object _ZeroCopyProtocol = ZeroCopyProtocol


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
cdef class Stream(Endpoint):
    def set_protocol(self, protocol):
        cdef bint was_lending = self.is_lending
        before = self.protocol      # held: its end may set another one, when all is done
        self.protocol = protocol
        self.end_flow()
        self.receiver = None
        if isinstance(protocol, NativeProtocol):
            self.receiver = (<NativeProtocol> protocol).receiver
        # TLS takes ciphertext as it comes, although asyncio's is a BufferedProtocol.
        self.is_buffered = (isinstance(protocol, _BufferedProtocol)
                            and not isinstance(protocol, TlsRecords))
        self.is_lending = isinstance(protocol, _ZeroCopyProtocol)
        if self.is_lending:
            self.mark = None
            self.lend().account.name = type(protocol).__qualname__
        elif was_lending:
            self.lender.account.relieve(NEVER)      # what another protocol keeps is not its fault
        if self.is_started and (self.is_lending or was_lending):
            self.update_reading()
        before = None

    def connect(self):
        """Announce an accepted connection to its protocol, and read from then on."""
        try:
            self.protocol_call("connection_made", self.face)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # asyncio logs it, as of any callback, and goes on reading.
            self.report("Exception in protocol.connection_made()", error)
        finally:
            self.start()

    def start(self):
        """Read from now on: connection_made has been called."""
        self.is_started = True
        self.update_reading()

    # ---- receiving ---------------------------------------------------------------------------

    cdef bint is_reading_wanted(self) noexcept:
        return (self.is_started and not self.is_paused and not self.is_closing_
                and not self.is_ended and self.held is None
                and (self.lender is None or not self.lender.account.is_waiting))

    cdef int arrange_reading(self) except -1:
        if not self.is_reading_wanted():
            return self.stop_reading()
        if not self.is_fd_ours():
            return self.fail(EBADF, "Fatal read error on socket transport")
        if self.is_lending and self.lender.regions:
            self.is_bulk = True         # a ring's slots are the loop's
        if not self.channel.has_multishot_receive:
            self.is_bulk = True         # it may have been found out by another stream
        pool = None if self.is_bulk else self.wanted_pool()
        if pool is None:
            self.is_bulk = True     # and perhaps for good: there is no ring to go back to
        elif self.receive is None:
            self.receive = make_receive(self, self.fd, pool)
        elif self.receive.pool is not pool:
            if self.receive.state != IDLE:
                return self.channel.cancel(self.receive)
            self.forget(self.receive)
            self.receive = make_receive(self, self.fd, pool)
        if self.is_bulk:
            if self.receive is not None and self.receive.state != IDLE:
                return self.channel.cancel(self.receive)
            if self.read_poll is None:
                self.read_poll = make_poll(self, self.fd, POLLIN | POLLRDHUP)
            if (self.mark is None and not self.is_lending
                    and family_in(&self.peer_head) in (AF_INET, AF_INET6)):
                self.mark = make_low_water_mark(self.core, self.fd)
            if self.read_poll.state == IDLE:
                return self.channel.submit(self.read_poll)
            return 0
        self.end_flow()
        if self.read_poll is not None and self.read_poll.state != IDLE:
            return self.channel.cancel(self.read_poll)
        if self.receive.state == IDLE:
            return self.channel.submit(self.receive)
        return 0

    cdef BufferRing wanted_pool(self):
        """Whose slots it is to be received into; None when there is no such ring."""
        if not self.is_lending:
            return self.channel.receive_buffers()
        if self.is_flood:
            pool = self.channel.flood_buffers()
            if pool is not None:
                return pool
            self.is_flood = False
        return self.channel.lending_buffers()

    cdef int stop_reading(self) except -1:
        self.end_flow()
        if self.is_closing_:
            self.drop_held()
        if self.receive is not None and self.receive.state != IDLE:
            self.channel.cancel(self.receive)
        if self.read_poll is not None and self.read_poll.state != IDLE:
            self.channel.cancel(self.read_poll)
        return 0

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        if operation is self.receive:
            self.received(result, flags)
            if flags & CQE_F_MORE and not self.is_closing_ and not self.is_fd_ours():
                self.fail(EBADF, "Fatal read error on socket transport")
            return 0
        if operation is self.read_poll:
            return self.read_bulk_and_rest() if result >= 0 else self.rested()
        if type(operation) is SendZeroCopy:
            if flags & CQE_F_NOTIF:
                return self.notified(<SendZeroCopy> operation,
                                     <unsigned> result & NOTIF_COPIED != 0)
            return self.sent_zero_copy(result)
        if operation is self.write_poll:
            self.is_blocked = False
            if self.is_lost:
                return self.release_fd()
            if self.lost_count == 0:
                self.send_now()
                if not self.is_blocked and self.lost_count == 0:
                    self.drained(True)
        elif flags & CQE_F_BUFFER:
            operation.pool.give(flags >> CQE_BUFFER_SHIFT)      # of a receive that was exchanged
        return 0

    cdef int read_bulk_and_rest(self) except -1:
        try:
            self.read_bulk()
        finally:    # KeyboardInterrupt ends the run, not the reading
            self.rested()
        return 0

    cdef int read_starved(self) except -1:
        """No slot was free: what there is is received at once, into memory of its own. To wait for
        slots would leave the peer with a window that is closed, in TCP for 40 ms and more."""
        self.is_bulk = True
        try:
            self.read_bulk()
        finally:
            if self.read_size < READ_AGAIN_MIN and self.channel.has_multishot_receive:
                self.is_bulk = False
            self.rested()
        return 0

    cdef int received(self, int result, uint32_t flags) except -1:
        try:
            if flags & CQE_F_BUFFER:
                self.received_slot(result, flags)
        finally:
            if not flags & CQE_F_MORE:
                self.ended(result)
        return 0

    cdef int rested(self) except -1:
        """A reading operation is idle: submit what is wanted now, or let the fd go."""
        if self.is_lost:
            return self.release_fd()
        return self.update_reading()

    cdef int ended(self, int result) except -1:
        """The multishot receive is over, after everything it brought."""
        if self.is_lost:
            return self.release_fd()
        if result == -EINVAL:
            # A kernel before 6.0, or an error of the socket's own: a direct receive will tell.
            self.channel.has_multishot_receive = False
        elif result == -ENOBUFS:
            if self.is_reading_wanted() and not self.is_bulk:
                return self.read_starved()
        elif result == -ECANCELED and self.is_bulk:
            return self.read_bulk_and_rest()
        elif result <= 0 and not self.is_closing_:
            try:
                self.received_last(result)
            finally:
                self.rested()
            return 0
        return self.update_reading()

    cdef int received_slot(self, int result, uint32_t flags) except -1:
        """A message in a slot of the pool: deliver or hold it, and give the slot back."""
        cdef unsigned slot = flags >> CQE_BUFFER_SHIFT
        cdef BufferRing pool = self.receive.pool    # a callback may exchange `receive`
        cdef const char *data = pool.slot(slot)
        cdef bytes copy
        if self.is_closing_ or result <= 0:
            pool.give(slot)
            return 0
        self.core.received_bytes += result
        if self.is_buffered and self.held is None and not self.is_paused:
            try:
                self.deliver_into(data, result)
            finally:
                pool.give(slot)
        elif self.is_lending:
            self.received_lease(pool, slot, result)
        else:
            copy = PyBytes_FromStringAndSize(data, result)
            self.core.copied_bytes += result
            pool.give(slot)
            self.hold_or_deliver(copy)
        return self.note_slot_size(pool, result, flags)

    cdef int note_slot_size(self, BufferRing pool, size_t size, uint32_t flags) except -1:
        """Whether this is the right way to receive what comes."""
        if pool.group == FLOOD:
            self.small_reads = self.small_reads + 1 if size <= SMALL_READ_MAX else 0
            self.is_bulk = self.full_reads == 0
            if self.small_reads < SMALL_READS_TO_RING and not self.is_bulk:
                return 0
            self.is_flood = False
        elif size != pool.slot_size:
            self.full_slots = 0
            return 0
        else:
            self.full_slots += 1
            if self.full_slots < FULL_SLOTS_TO_BULK or self.is_bulk:
                return 0
            self.is_bulk = True
        self.full_slots = self.full_reads = self.small_reads = 0
        if flags & CQE_F_MORE and not self.is_lost:
            return self.update_reading()
        return 0

    cdef int received_lease(self, BufferRing pool, unsigned slot, int size) except -1:
        try:
            view = self.lender.lend_slot(pool, slot, 0, size)
        finally:
            pool.give(slot)
        return self.hold_or_deliver(view)

    cdef int protocol_failed(self, object error, str name) except -1:
        return self.fatal(error, f"Fatal error: protocol.{name}() call failed.")

    cdef bint is_holding_back(self) noexcept:
        """Whether what comes is to wait. Over its quota a protocol that takes leases gets copies of
        what was received already; TLS would decrypt that into more leases."""
        return self.is_paused or (self.lender is not None and not self.is_lending
                                  and self.lender.account.is_waiting)

    cdef int hold_or_deliver(self, object data) except -1:
        if self.held is not None:
            self.held.append(data)
        elif self.is_holding_back():
            self.held = [data]
        else:
            return self.deliver(data)
        return 0

    cdef int received_last(self, int result) except -1:
        """The request ended by end of file (0) or an error, after everything it brought."""
        if result == -ECANCELED or result == -EINTR or result == -EAGAIN:
            return 0
        if self.held is not None:
            self.held.append(-result)
        elif self.is_paused:
            self.held = [-result]
        elif result == 0:
            self.end_of_file()
        else:
            self.fail(-result, "Fatal read error on socket transport")
        return 0

    cdef ssize_t receive_some(self, char *memory, size_t size) noexcept:
        """What there is by a system call; -1 and errno."""
        return recv(self.fd, memory, size, MSG_DONTWAIT)

    cdef int read_bulk(self) except -1:
        """Receive, and again at once while a busy sender fills the socket meanwhile and nobody
        else waits: that costs a system call less than asking for readiness. In vain, it is tried
        ever so seldom."""
        cdef unsigned count
        for count in range(READS_MAX):
            if not self.is_reading_wanted() or not self.is_bulk:
                return 0
            if not self.is_fd_ours():
                return self.fail(EBADF, "Fatal read error on socket transport")
            self.read_size = 0
            if self.is_buffered:
                self.read_directly_into()
            elif self.is_lending:
                return self.read_lease()
            else:
                self.read_directly()
            if self.read_size < READ_AGAIN_MIN:
                if count and self.read_size == 0:
                    self.polls_to_skip = VAIN_READ_POLLS
                return 0
            if self.channel.has_undispatched() and not self.is_greedy():
                return 0
            if self.polls_to_skip:
                self.polls_to_skip -= 1
                return 0
        return 0

    cdef bint is_greedy(self) noexcept:
        """Whether others' share of the turn may come later for what pours in here."""
        return (self.mark is not None and self.mark.is_one_way
                and not self.core.bulk_reading.is_patient)

    cdef int read_directly(self) except -1:
        cdef PyObject *data = PyBytes_New(NULL, BULK_SIZE)
        cdef ssize_t got = self.receive_some(PyBytes_Start(data), BULK_SIZE)
        cdef int failed = errno
        if got <= 0:
            PyObject_Release(data)
            if got == 0:
                return self.end_of_file()
            return self.read_failed(failed)
        if <size_t> got != BULK_SIZE:
            _PyBytes_Resize(&data, got)
        self.note_read_size(got)
        received = <bytes> data
        PyObject_Release(data)
        return self.deliver_bytes(received)

    cdef int read_failed(self, int errno_) except -1:
        if errno_ != EAGAIN and errno_ != EINTR:
            return self.fail(errno_, "Fatal read error on socket transport")
        if self.read_poll is not None:
            self.read_poll.in_vain()
        return 0

    cdef int read_lease(self) except -1:
        """Receive into a fresh block, or into private memory when there is none."""
        cdef Lease lease = self.lender.take_some(LEASE_SIZE)
        cdef char *memory
        cdef size_t size
        cdef ssize_t got
        cdef int failed
        private = None
        if lease is not None:
            memory = lease.data
            size = lease.size
        else:
            size = BULK_SLOT_SIZE
            private = PyByteArray_FromStringAndSize(NULL, size)
            memory = PyByteArray_AS_STRING(private)
        got = self.receive_some(memory, size)
        failed = errno
        if got == 0:
            return self.end_of_file()
        if got < 0:
            return self.read_failed(failed)
        self.note_read_size(got)
        self.full_reads = self.full_reads + 1 if got == LEASE_SIZE else 0
        if self.full_reads >= FULL_READS_TO_FLOOD and not self.lender.regions:
            self.is_flood = True
            self.is_bulk = False
        if lease is None:
            return self.deliver_view(self.lender.starve(memory, got))
        if <size_t> got <= self.lender.copybreak:
            return self.deliver_view(self.lender.copy(memory, got))
        return self.deliver_view(self.lender.lend(lease, got))

    cdef int deliver_view(self, object view) except -1:
        try:
            self.protocol_call(BUFFER_RECEIVED, view)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.protocol_failed(error, "buffer_received")
        view = None
        if self.lender.account.is_over():
            self.end_flood()
            self.pause_if_over_quota()
        return 0

    cdef void end_flood(self) noexcept:
        """Its holder does not keep up: blocks from before the pause and after it are not in a row,
        and what large slots bring meanwhile would be beyond its quota."""
        self.full_reads = 0
        if self.is_flood:
            self.is_flood = False
            self.is_bulk = True

    cdef void note_read_size(self, size_t size) noexcept:
        self.core.received_bytes += size
        if self.mark is not None:
            self.mark.note(size)
        self.read_size = <uint32_t> min(size, READ_AGAIN_MIN)
        if size > SMALL_READ_MAX:
            self.small_reads = 0
            return
        self.small_reads += 1
        if (self.small_reads >= SMALL_READS_TO_RING and self.channel.has_multishot_receive
                and not (self.is_lending and self.lender.regions)):
            self.is_bulk = False
            self.full_slots = 0

    cdef int read_directly_into(self) except -1:
        cdef Py_buffer buffer
        cdef ssize_t got
        cdef int failed
        protocol = self.protocol
        try:
            self.get_buffer(&buffer)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            return self.fatal(error, "Fatal error: protocol.get_buffer() call failed.")
        if self.protocol is not protocol or not self.is_reading_wanted():
            PyBuffer_Release(&buffer)       # get_buffer() has changed what is wanted
            return 0
        got = self.receive_some(<char *> buffer.buf, buffer.len)
        failed = errno
        PyBuffer_Release(&buffer)       # the protocol may resize it now
        if got == 0:
            return self.end_of_file()
        if got < 0:
            return self.read_failed(failed)
        self.note_read_size(got)
        try:
            self.protocol_call(BUFFER_UPDATED, got)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.fatal(error, "Fatal error: protocol.buffer_updated() call failed.")
        return 0

    cdef int get_buffer(self, Py_buffer *buffer) except -1:
        """What the protocol offers to receive into, as socket.recv_into takes it."""
        offered = self.protocol_call(GET_BUFFER, -1)
        PyObject_GetBuffer(offered, buffer, PyBUF_WRITABLE)
        if buffer.len == 0:     # of bytes: four rows of nothing have a length of 4
            PyBuffer_Release(buffer)
            raise RuntimeError("get_buffer() returned an empty buffer")
        return 0

    cdef int deliver(self, object data) except -1:
        """To whatever protocol there is now: what was received may have been meant for another."""
        cdef bytes received
        if self.is_lending:
            if type(data) is bytes:
                data = self.lender.copy(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
            return self.deliver_view(data)
        if type(data) is bytes:
            return self.deliver_bytes(data)
        received = bytes(data)
        data.release()
        return self.deliver_bytes(received)

    cdef int deliver_bytes(self, bytes data) except -1:
        """data_received(data), or a buffered protocol's two calls with a copy."""
        if self.is_buffered:
            return self.deliver_into(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))
        try:
            if self.receiver is not None:
                self.receiver.receive(data)
            else:
                self.protocol_call(DATA_RECEIVED, data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self.protocol_failed(error, "data_received")
        return 0

    cdef int deliver_into(self, const char *data, size_t size) except -1:
        """Copy into the protocol's own buffers, as many as it takes."""
        cdef Py_buffer buffer
        cdef size_t count
        while size:
            if self.is_closing_:
                return 0
            if self.is_paused or not self.is_buffered:
                # Paused, or another protocol, in the middle: the rest comes later, or as bytes.
                if self.is_paused:
                    return self.keep(data, size)
                return self.deliver(PyBytes_FromStringAndSize(data, size))
            protocol = self.protocol
            try:
                self.get_buffer(&buffer)
            except (SystemExit, KeyboardInterrupt):
                self.keep(data, size)
                raise
            except BaseException as error:
                return self.fatal(error, "Fatal error: protocol.get_buffer() call failed.")
            if self.protocol is not protocol or self.is_paused or self.is_closing_:
                PyBuffer_Release(&buffer)       # get_buffer() has changed what is wanted
                continue
            count = min(<size_t> buffer.len, size)
            memcpy(buffer.buf, data, count)
            PyBuffer_Release(&buffer)
            self.core.copied_bytes += count
            data += count
            size -= count
            try:
                self.protocol_call(BUFFER_UPDATED, count)
            except (SystemExit, KeyboardInterrupt):
                self.keep(data, size)
                raise
            except BaseException as error:
                return self.fatal(error, "Fatal error: protocol.buffer_updated() call failed.")
        return 0

    cdef int keep(self, const char *data, size_t size) except -1:
        """The rest of a delivery that was left in the middle comes before all that is held."""
        if size and not self.is_closing_:
            if self.held is None:
                self.held = []
            self.held.insert(0, PyBytes_FromStringAndSize(data, size))
            if not self.is_paused:
                self.want_delivery()
        return 0

    cdef int want_delivery(self) except -1:
        if not self.is_resume_posted:
            self.is_resume_posted = True
            self.core.call(self._deliver_held, (), None)
        return 0

    cdef int end_of_file(self) except -1:
        self.is_ended = True
        self.log("%r received EOF")
        try:
            keep_open = self.protocol_call(EOF_RECEIVED, None)
        except (SystemExit, KeyboardInterrupt):
            self.is_ended = False       # asked again, since it has not answered
            raise
        except BaseException as error:
            return self.fatal(error, "Fatal error: protocol.eof_received() call failed.")
        if not keep_open:
            self.close()
        return 0

    def pause_reading(self):
        if self.is_closing_ or self.is_paused:
            return
        self.is_paused = True
        self.stop_reading()
        self.log("%r pauses reading")

    def resume_reading(self):
        if self.is_closing_ or not self.is_paused:
            return
        self.is_paused = False
        self.log("%r resumes reading")
        if self.held is not None:
            self.want_delivery()
        else:
            self.update_reading()

    def _leases_returned(self):
        if self.held is not None and not self.is_paused and not self.is_closing_:
            self.core.waiting.discard(self)
            self.want_delivery()
        else:
            Endpoint._leases_returned(self)

    def _deliver_held(self):
        """Hand over what arrived during a pause, oldest first, until paused again."""
        self.is_resume_posted = False
        try:
            while self.held and not self.is_holding_back() and not self.is_closing_:
                item = self.held[0]
                del self.held[0]
                if not isinstance(item, int):
                    self.deliver(item)
                elif item == 0:
                    self.end_of_file()
                else:
                    self.fail(item, "Fatal read error on socket transport")
                item = None
        finally:
            if self.is_closing_:
                self.drop_held()
            elif not self.held:
                self.held = None
            if not self.is_holding_back() and not self.is_closing_:
                if self.held is not None:
                    self.want_delivery()    # interrupted
                else:
                    self.update_reading()

    # ---- sending -----------------------------------------------------------------------------

    def write(self, data):
        """Send `data` (bytes, bytearray or memoryview); never blocks.

        What the socket's buffer has room for is the kernel's when this returns. Of the rest, bytes
        and views of leases are held, not copied; others are copied. What a view of a lease shows
        must not change until it is sent; the view itself may be released. Raises TypeError, and
        RuntimeError after write_eof() or during a sendfile.
        """
        self.accept(data)

    cdef int accept(self, object data) except -1:
        # From the first check on nothing is allocated that the collector tracks, but for what
        # holds it off by itself (`wait_writable`, `lend`) or marks the stream blocked before.
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
        if self.lost_count:
            if self.lost_count >= <unsigned> constants.LOG_THRESHOLD_FOR_CONNLOST_WRITES:
                logger.warning("socket.send() raised exception.")
            self.lost_count += 1
            return 0
        if not self.is_fd_ours():
            return self.fail(EBADF, "Fatal write error on socket transport")
        if self.queued() == 0 and not (type(owner) is Lease and self.is_zero_copy_wanted(size)):
            sent = self.send_at_once(start, size)
            if sent == <ssize_t> size or self.lost_count:
                return 0
            self.wait_writable()
        if owner is None:
            owner = PyBytes_FromStringAndSize(start + sent, size - sent)
            self.core.copied_bytes += size - sent
            start = PyBytes_AS_STRING(owner)
        else:
            start += sent
        self.append(owner, start, size - sent)
        if not self.is_blocked:
            self.send_now()
        return self.pause_if_high()

    cdef bint is_zero_copy_wanted(self, size_t size) except -1:
        """Of a lease: whether it goes from where it is; else it is counted as sent by a copy."""
        cdef Account account
        if size < LEASE_SEND_MIN:
            return False
        if self.zero_copy_mode == ZERO_COPY_UNDECIDED:
            self.choose_zero_copy(
                ZERO_COPY_MIN, not is_same_machine(self.raw_local(), self.raw_peer()))
        if size >= self.zero_copy_min:
            return True
        account = self.lend().account
        account.sent_bytes += size
        return False

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
                self.fail(errno, "Fatal write error on socket transport")
            return 0
        self.core.sent_bytes += sent
        if is_joined:
            self.join()
        else:
            self.is_joined = False
        return sent

    cdef bint joins(self, size_t size) noexcept:
        """Whether the kernel is to hold the end of this write back for what comes after it."""
        cdef uint32_t turn = <uint32_t> self.core.turns
        if self.write_turn != turn:
            self.is_repeating = self.writes > 1
            self.writes = 0
            self.write_turn = turn
        if self.writes < 255:
            self.writes += 1
        if size >= JOINED_MAX or self.may_join == MAY_JOIN_NEVER:
            return False
        # Where a push is a system call of its own, others' answers are no reason for one.
        if not (self.is_repeating or self.writes > 1
                or (self.channel.has_push and self.core.is_busy())):
            return False
        if not self.channel.is_started:
            return False
        if self.may_join == MAY_JOIN_UNKNOWN:
            self.may_join = MAY_JOIN_NEVER
            if family_in(&self.peer_head) in (AF_INET, AF_INET6) and corked(self.fd) == 0:
                self.may_join = MAY_JOIN
        return self.may_join == MAY_JOIN

    cdef int join(self) except -1:
        self.is_joined = True
        return self.core.want_flush(self)

    cdef int flush(self) except -1:
        """The turn is over: what the kernel has held back leaves."""
        if not self.is_joined:
            return 0
        self.is_joined = False
        if self.fd < 0 or not self.is_fd_ours():
            return 0
        if self.socket is not None and corked(self.fd) != 0:
            self.may_join = MAY_JOIN_NEVER      # the program has put a cork in: it takes it out
            return 0
        return self.core.channel.push(self.fd)

    def writelines(self, pieces):
        """write() of each, in one system call or few."""
        cdef bint is_held
        if self.is_eof_written:
            raise RuntimeError("Cannot call writelines() after write_eof()")
        if self.empty_waiter is not None:
            raise RuntimeError("unable to writelines; sendfile is in progress")
        pieces = [as_piece(piece) for piece in pieces]
        self.wrote()
        if self.lost_count:
            self.lost_count += 1
            return
        is_held = hold_collector()
        try:
            for piece in pieces:
                self.append_piece(piece)
            if self.queued() and not self.is_blocked:
                self.send_queue(self.joins(self.queue.size))
            self.pause_if_high()
        finally:
            let_collector_go(is_held)

    cdef int append_piece(self, object piece) except -1:
        """If there is anything in it."""
        cdef const char *start
        cdef size_t size
        owner = owner_of(piece, &start, &size)
        return self.append(owner, start, size) if size else 0

    cdef int append(self, object owner, const char *data, size_t size) except -1:
        if self.queue is None:
            self.queue = WriteQueue.__new__(WriteQueue)
        return self.queue.push(owner, data, size)

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
            return self.fail(EBADF, "Fatal write error on socket transport")
        while self.queue is not None and self.queue.size:
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
                return self.fail(errno, "Fatal write error on socket transport")
            if is_joined:
                self.join()
            self.consume(sent)
            if <size_t> sent < offered:
                return self.wait_writable()
        return 0

    # ---- without a copy ----------------------------------------------------------------------

    cdef bint is_zero_copy_next(self) noexcept:
        """Whether the first piece is to be sent from its lease, and an enter follows."""
        return (self.zero_copy_min != 0 and self.queue.first().size >= self.zero_copy_min
                and type(<object> self.queue.first().owner) is Lease and self.channel.is_started)

    cdef int send_zero_copy(self) except -1:
        """Submit the first piece; until its result is known the socket counts as blocked. It counts
        so from here on: to pin the region may log, and a log handler may write."""
        cdef Piece piece = self.queue.first()[0]
        cdef SendZeroCopy operation
        owner = <object> piece.owner
        self.is_blocked = True
        try:
            operation = self.make_zero_copy(owner, piece.data, piece.size)
        except BaseException:
            self.is_blocked = False
            raise
        return 0 if self.lost_count else self.submit_zero_copy(operation)

    cdef int sent_zero_copy(self, int result) except -1:
        self.zero_copy_send = None
        self.is_blocked = False
        if self.is_lost:
            return self.release_fd()
        if self.lost_count:
            return 0
        if result >= 0:
            self.consume(result)
        elif self.is_zero_copy_result_final(result):
            return self.fail(-result, "Fatal write error on socket transport")
        self.send_now()
        if not self.is_blocked and self.lost_count == 0:
            self.drained(True)
        return 0

    cdef void consume(self, size_t size) noexcept:
        """So much of the queue has been sent."""
        cdef WriteQueue queue = self.queue      # held: the end of a lease may run an abort()
        self.core.sent_bytes += size
        queue.consume(size)

    cdef size_t queued(self) noexcept:
        return self.queue.size if self.queue is not None else 0

    cdef int fail(self, int errno_, str message) except -1:
        if errno_ == EPIPE and self.is_reset():
            errno_ = ECONNRESET
        return Endpoint.fail(self, errno_, message)

    cdef bint is_reset(self) noexcept:
        """Whether the receive in flight has taken the peer's reset, and is about to bring it: a
        socket tells an error once, and of a write then only that there is no peer."""
        return (not is_resting(self.receive) and not self.is_ended
                and family_in(&self.peer_head) in (AF_INET, AF_INET6))

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

    def write_eof(self):
        """Send the end of file after what is queued; reading goes on."""
        if self.is_closing_ or self.is_eof_written:
            return
        if not self.is_fd_ours():
            raise os_error(EBADF, None)
        self.is_eof_written = True
        if self.queue is not None and self.queue.size and not self.is_blocked:
            self.send_now()
        if (self.queue is None or self.queue.size == 0) and self.lost_count == 0:
            if shutdown(self.fd, SHUT_WR) < 0:
                raise os_error(errno, None)

    # ---- ending ------------------------------------------------------------------------------

    def _call_connection_lost(self, error):
        try:
            Endpoint._call_connection_lost(self, error)
        finally:
            self.receiver = None

    cdef bint is_idle(self) noexcept:
        return (is_resting(self.receive) and is_resting(self.read_poll)
                and self.zero_copy_send is None)

    cdef bint has_left_kernel(self) noexcept:
        return (has_left(self.receive) and has_left(self.read_poll)
                and has_left(self.zero_copy_send))

    cdef int recall_operations(self) except -1:
        self.recall(self.receive)
        self.recall(self.read_poll)
        return self.recall(self.zero_copy_send)

    cdef int forget_operations(self) except -1:
        self.forget(self.receive)
        return self.forget(self.read_poll)
