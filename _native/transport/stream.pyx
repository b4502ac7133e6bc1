"""A connected stream socket: how it is received from, and what it consists of.

    base `Endpoint`     the fd, the protocol, flow control, the end
    base `Inlet`        what arrived during a pause
    base `Outlet`       what is written
    `pace`              which way of receiving fits: ring, bulk or flood (pacing/stream_pace.pyx)
    `delivery`          to whom what is received goes (transport/delivery.pyx)
    `mark`              whether bulk in one direction is waited for (transport/low_water_mark.pyx)

    way             operation in flight         what completes it
    ring, flood     `receive`, multishot        each message, in a slot
    bulk            `read_poll`, one-shot       readiness: then direct receives, and a new poll

One of the two is in flight while reading is wanted: started, not paused, not closing, nothing held
that is older, and not over the quota of leases. `arrange_reading` brings that about. An operation
that is not wanted any more is cancelled, and the other one is submitted when that has completed.
"""

cimport cython
from libc.errno cimport EAGAIN, EBADF, EINTR, EINVAL, errno
from libc.stdint cimport uint32_t

from zcloop._native.channel.buffer_rings cimport FLOOD as FLOOD_SLOTS
from zcloop._native.kernel.address cimport AF_INET, AF_INET6, family_in
from zcloop._native.kernel.errors cimport ECANCELED, ENOBUFS
from zcloop._native.kernel.limits cimport NEVER
from zcloop._native.kernel.poll cimport POLLIN, POLLRDHUP
from zcloop._native.kernel.socket cimport MSG_DONTWAIT, recv
from zcloop._native.kernel.uring cimport CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE
from zcloop._native.operation.operation cimport IDLE, Operation
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.operation.receive cimport make_receive
from zcloop._native.pacing.stream_pace cimport (
    ALL_SMALL, FELL_BEHIND, FLOOD, NO_LARGE_SLOTS, NO_SLOTS, POURED_IN, READS_MAX, end_starving,
    follow, is_direct, is_flooded, note_block, note_large_slot, note_read, note_slot, note_write,
    reads_again, skips_poll,
)
from zcloop._native.transport.delivery cimport (
    SPACE_SIZE, Space, bytes_of, delivery_to, delivery_to_nobody,
)
from zcloop._native.transport.descriptor cimport has_left, is_resting
from zcloop._native.transport.held cimport HELD_DATA, HELD_END, HeldItem
from zcloop._native.transport.low_water_mark cimport make_low_water_mark

cdef str EOF_RECEIVED = "eof_received"      # a method of asyncio's protocols


@cython.no_gc_clear     # as of a Descriptor
cdef class Stream(Outlet):
    def __cinit__(self):
        self.delivery = delivery_to_nobody()

    # ---- the protocol ------------------------------------------------------------------------

    def set_protocol(self, protocol):
        """Deliver to this protocol from now on, by the calls of its kind."""
        cdef Delivery delivery = self.choose_delivery(protocol)
        cdef bint was_lending = self.delivery.lends
        before = self.protocol      # held: its end may set another one, when all is done
        self.protocol = protocol
        self.delivery = delivery
        self.end_flow()
        if delivery.lends:
            self.mark = None
            self.ensure_lender().account.name = type(protocol).__qualname__
        elif was_lending:
            self.lender.account.relieve(NEVER)      # what another protocol keeps is not its fault
        if self.is_started and (delivery.lends or was_lending):
            self.update_reading()
        before = None

    cdef Delivery choose_delivery(self, object protocol):
        return delivery_to(protocol, True)

    def announce(self):
        """Call the protocol's connection_made(), and read from then on.

        As asyncio does, an exception of connection_made() is reported, and the connection stays.
        """
        try:
            self.call_or_report("connection_made", self.face,
                                "Exception in protocol.connection_made()")
        finally:
            self.start()

    def start(self):
        """Read from now on: connection_made has been called."""
        self.is_started = True
        self.update_reading()

    @property
    def is_flood(self):
        """Whether it is received into the ring of large slots, as far as these suffice."""
        return is_flooded(&self.pace)

    # ---- what is in flight -------------------------------------------------------------------

    cdef bint is_reading_wanted(self) noexcept:
        return (self.is_started and not self.is_paused and not self.is_closing_
                and not self.is_ended and self.held is None
                and (self.lender is None or not self.lender.account.is_waiting))

    cdef bint may_use_slots(self) noexcept:
        """Whether there may be a ring to receive into: slots are the loop's, not a region's."""
        # Another stream may have found out meanwhile that the kernel has no multishot receive.
        return (self.channel.has_multishot_receive
                and not (self.delivery.lends and self.lender.regions))

    cdef BufferRing wanted_pool(self):
        """The ring whose slots it is to be received into; None when there is none."""
        if not self.delivery.lends:
            return self.channel.receive_buffers()
        if self.pace.way == FLOOD:
            pool = self.channel.flood_buffers()
            if pool is not None:
                return pool
            follow(&self.pace, NO_LARGE_SLOTS)
        return self.channel.lending_buffers()

    cdef int arrange_reading(self) except -1:
        cdef BufferRing pool = None
        if not self.is_reading_wanted():
            return self.stop_reading()
        if not self.is_fd_ours():
            return self.fail_reading(EBADF)
        if not self.may_use_slots():
            follow(&self.pace, NO_SLOTS)
        if not is_direct(&self.pace):
            pool = self.wanted_pool()
            if pool is None:
                follow(&self.pace, NO_SLOTS)
        return self.arrange_bulk() if pool is None else self.arrange_receive(pool)

    cdef int arrange_receive(self, BufferRing pool) except -1:
        """Bring it about that a multishot receive into this ring is in flight, and it alone."""
        if self.receive is not None and self.receive.pool is not pool:
            if self.receive.state != IDLE:
                return self.channel.cancel(self.receive)
            self.forget(self.receive)
            self.receive = None
        if self.receive is None:
            self.receive = make_receive(self, self.fd, pool)
        self.end_flow()
        if not is_resting(self.read_poll):
            return self.channel.cancel(self.read_poll)
        if self.receive.state == IDLE:
            return self.channel.submit(self.receive)
        return 0

    cdef int arrange_bulk(self) except -1:
        """Bring it about that a poll for input is in flight, and it alone."""
        if not is_resting(self.receive):
            return self.channel.cancel(self.receive)
        if self.read_poll is None:
            self.read_poll = make_poll(self, self.fd, POLLIN | POLLRDHUP)
        if (self.mark is None and not self.delivery.lends
                and family_in(&self.peer_head) in (AF_INET, AF_INET6)):
            self.mark = make_low_water_mark(self.core, self.fd)
        if self.read_poll.state == IDLE:
            return self.channel.submit(self.read_poll)
        return 0

    cdef int stop_reading(self) except -1:
        self.end_flow()
        if self.is_closing_:
            self.drop_held()
        if not is_resting(self.receive):
            self.channel.cancel(self.receive)
        if not is_resting(self.read_poll):
            self.channel.cancel(self.read_poll)
        return 0

    cdef int rested(self) except -1:
        """A reading operation is idle: submit what is wanted now, or let the fd go."""
        if self.is_lost:
            return self.release_fd()
        return self.update_reading()

    # ---- completions -------------------------------------------------------------------------

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        cdef unsigned slot
        cdef BufferRing pool
        if operation is not self.receive:
            if operation is self.read_poll:
                return self.read_bulk_and_rest() if result >= 0 else self.rested()
            if flags & CQE_F_BUFFER:        # of a receive that another has replaced
                operation.pool.give(flags >> CQE_BUFFER_SHIFT)
                return 0
            return self.output_completed(operation, result, flags)
        try:
            if flags & CQE_F_BUFFER:
                slot = flags >> CQE_BUFFER_SHIFT
                pool = self.receive.pool    # a callback may exchange `receive`
                if self.is_closing_ or result <= 0:
                    pool.give(slot)
                else:
                    self.core.received_bytes += result
                    self.delivery.deliver_slot(self, pool, slot, result)
                    self.note_message(pool, result, flags & CQE_F_MORE != 0)
        finally:
            if not flags & CQE_F_MORE:
                self.ended(result)
        if flags & CQE_F_MORE and not self.is_closing_ and not self.is_fd_ours():
            return self.fail_reading(EBADF)
        return 0

    cdef int note_message(self, BufferRing pool, size_t size, bint has_more) except -1:
        """A message came in a slot of this ring: see whether that is the right way to receive."""
        cdef bint is_changed
        if pool.group == FLOOD_SLOTS:
            is_changed = note_large_slot(&self.pace, size)
        else:
            is_changed = note_slot(&self.pace, size, pool.slot_size)
        if is_changed and has_more and not self.is_lost:
            return self.update_reading()
        return 0

    cdef int ended(self, int result) except -1:
        """The multishot receive is over, after everything it brought."""
        if self.is_lost:
            return self.release_fd()
        if result == -EINVAL:
            # A kernel before 6.0, or an error of the socket's own: a direct receive will tell.
            self.channel.has_multishot_receive = False
        elif result == -ENOBUFS:
            if self.is_reading_wanted() and not is_direct(&self.pace):
                return self.read_starved()
        elif result == -ECANCELED and is_direct(&self.pace):
            return self.read_bulk_and_rest()
        elif result <= 0 and not self.is_closing_:
            try:
                self.received_last(result)
            finally:
                self.rested()
            return 0
        return self.update_reading()

    cdef int received_last(self, int result) except -1:
        """The request ended by end of file (0) or an error, after everything it brought."""
        if result == -ECANCELED or result == -EINTR or result == -EAGAIN:
            return 0
        if self.is_keeping():
            return self.keep_end() if result == 0 else self.keep_error(-result)
        return self.end_of_file() if result == 0 else self.fail_reading(-result)

    # ---- direct receives ---------------------------------------------------------------------

    cdef int read_bulk_and_rest(self) except -1:
        try:
            self.read_bulk()
        finally:    # KeyboardInterrupt ends the run, not the reading
            self.rested()
        return 0

    cdef int read_starved(self) except -1:
        """No slot was free: receive at once what there is, into memory of its own. To wait for
        slots would leave the peer with a window that is closed, in TCP for 40 ms and more."""
        self.pace.is_starved = True
        try:
            self.read_bulk()
        finally:
            end_starving(&self.pace)
            self.rested()
        return 0

    cdef int read_bulk(self) except -1:
        """Receive, and again at once while a busy sender fills the socket meanwhile and nobody
        else waits: that costs a system call less than asking for readiness."""
        cdef int count
        for count in range(READS_MAX):
            if not self.is_reading_wanted() or not is_direct(&self.pace):
                return 0
            if not self.is_fd_ours():
                return self.fail_reading(EBADF)
            self.pace.read_size = 0
            self.read_some()
            if self.delivery.lends or not reads_again(&self.pace, count != 0):
                return 0
            if self.channel.has_undispatched() and not self.is_greedy():
                return 0
            if skips_poll(&self.pace):
                return 0
        return 0

    cdef bint is_greedy(self) noexcept:
        """Whether others' share of the turn may come later for what pours in here."""
        return (self.mark is not None and self.mark.is_one_way
                and not self.core.bulk_reading.is_patient)

    cdef int read_some(self) except -1:
        """Receive once into the memory that the delivery has for it, and deliver what came."""
        cdef Delivery delivery = self.delivery      # held: the protocol may be exchanged
        cdef Space space
        cdef ssize_t got
        cdef int failed
        if not delivery.make_space(self, &space):
            return 0
        if not self.is_reading_wanted():
            return delivery.drop_space(&space)      # get_buffer() has changed what is wanted
        got = self.receive_some(space.memory, space.size)
        failed = errno
        if got <= 0:
            delivery.drop_space(&space)
            return self.end_of_file() if got == 0 else self.read_failed(failed)
        self.note_read_size(got)
        return delivery.deliver_space(self, &space, got)

    cdef ssize_t receive_some(self, char *memory, size_t size) noexcept:
        """What there is by a system call; -1 and errno."""
        return recv(self.fd, memory, size, MSG_DONTWAIT)

    cdef int read_failed(self, int errno_) except -1:
        if errno_ != EAGAIN and errno_ != EINTR:
            return self.fail_reading(errno_)
        if self.read_poll is not None:
            self.read_poll.in_vain()
        return 0

    cdef void note_read_size(self, size_t size) noexcept:
        """So much was received directly: see whether that is the right way to receive."""
        self.core.received_bytes += size
        if self.mark is not None:
            self.mark.note(size)
        if note_read(&self.pace, size) and self.may_use_slots():
            follow(&self.pace, ALL_SMALL)
        if (self.delivery.lends and note_block(&self.pace, size == SPACE_SIZE)
                and not self.lender.regions):
            follow(&self.pace, POURED_IN)

    # ---- what comes of it --------------------------------------------------------------------

    cdef int deliver_rest(self, object data) except -1:
        if not self.delivery.lends:
            data = bytes_of(data)       # to end a lease may run code that sets another protocol
        return self.delivery.deliver(self, data)

    cdef int deliver_item(self, HeldItem item) except -1:
        if item.kind == HELD_DATA:
            return self.deliver_rest(item.data)
        if item.kind == HELD_END:
            return self.end_of_file()
        return self.fail_reading(item.errno_)

    cdef bint is_holding_back(self) noexcept:
        """Whether what comes is to wait. Over its quota a protocol that takes leases gets copies of
        what was received already; TLS would decrypt that into more leases."""
        return self.is_paused or (self.lender is not None and not self.delivery.lends
                                  and self.lender.account.is_waiting)

    cdef int fell_behind(self) except -1:
        follow(&self.pace, FELL_BEHIND)     # what large slots bring would be beyond the quota, too
        return Outlet.fell_behind(self)

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

    # ---- writing -----------------------------------------------------------------------------

    cdef int wrote(self) except -1:
        note_write(&self.pace)
        return self.end_flow()

    cdef bint is_reset(self) noexcept:
        """Whether the receive in flight has taken the peer's reset, and is about to bring it: a
        socket tells an error once, and of a write then only that there is no peer."""
        return (not is_resting(self.receive) and not self.is_ended
                and family_in(&self.peer_head) in (AF_INET, AF_INET6))

    # ---- ending ------------------------------------------------------------------------------

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
