"""The channel of a loop, over one ring."""

cimport cython

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport (
    EACCES, EAGAIN, EALREADY, EBUSY, EEXIST, EINTR, EINVAL, ENOENT, EPERM,
)
from libc.string cimport memmove, memset
from posix.unistd cimport close

from zcloop._native.kernel.atomics cimport load_relaxed, store_release
from zcloop._native.kernel.clock cimport monotonic_ns
from zcloop._native.kernel.collector cimport let_program_in, program_left
from zcloop._native.kernel.errors cimport ECANCELED, EOPNOTSUPP, ETIME, raise_os_error
from zcloop._native.kernel.tcp cimport IPPROTO_TCP, TCP_CORK, push_now
from zcloop._native.kernel.uring cimport (
    ASYNC_CANCEL_ALL, ASYNC_CANCEL_ANY, OP_ASYNC_CANCEL, OP_FUTEX_WAIT, OP_SUPPORTED,
    REGISTER_PROBE, SQE_CQE_SKIP_SUCCESS, io_uring_cqe, io_uring_probe, io_uring_sqe,
    kernel_timespec, prepare_setsockopt,
)
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.memory.pins cimport Pins
from zcloop._native.memory.pool cimport Pool
from zcloop._native.memory.region cimport Region
from zcloop._native.operation.operation cimport CANCELLING, IDLE, INFLIGHT, PARKED, STARVED
from zcloop._native.ring.making cimport make_ring
from zcloop._native.ring.ring cimport Ring

from libc.stdint cimport int64_t, uint32_t, uint64_t

from zcloop._native.channel.channel import InvariantError
from zcloop._native.ring.making import wanted_backend

# The pool for small receives: 128 slots of 16 KiB are 2 MiB of address space, of which only what
# messages fill is touched, so that it stays in the processor's L2 cache: the slots of a bigger pool
# are cold when their turn comes again. An enter runs at most 20 completions' work, so 128 slots are
# never all out with prompt consumers.
cdef unsigned POOL_SLOTS = 128
cdef size_t POOL_SLOT_SIZE = 16384
# The slots whose blocks are lent. Other transports have the ones above, which nobody can hold.
cdef unsigned LENDING_SLOTS = 32
cdef size_t LENDING_SLOT_SIZE = 16384
# For streams that bring more than they are read: 1 MiB, which stays in the cache.
cdef unsigned FLOOD_SLOTS = 16
cdef size_t FLOOD_SLOT_SIZE = 65536
# The largest datagram and its header, to a page; 64 of them are 4.5 MiB of address space, of
# which a slot's pages are touched only as far as a datagram reaches.
cdef unsigned DATAGRAM_SLOTS = 64
cdef size_t DATAGRAM_SLOT_SIZE = 69632
# Where a slot is filled with many datagrams, 1 MiB: of 64 slots each would have left the cache.
cdef unsigned SEGMENTED_SLOTS = 16
# Blocks of 128 KiB, of which a datagram leaves free what it does not fill.
cdef unsigned LENDING_DATAGRAM_SLOTS = 16

cdef enum:
    PROBED_MAX = 256                    # opcodes are of one byte
    PROBE_WORDS = 2 + PROBED_MAX        # 16 bytes, and 8 of each

# Of the requests that something has come for, an enter completes so many, or as many as it is to
# wait for. Polls of sockets that have something complete when they are submitted, beyond that: who
# has waited would get a small share of such a turn.
cdef unsigned ENTER_WORK_MAX = 20

# Enters without a completion after which the kernel's hint that it has work is an old one.
cdef unsigned IDLE_ENTERS_MAX = 4

# As network cards do at first. At 300,000 datagrams a second: 0.71 of the CPU, 1.3 times the rate
# (30 us: 0.80, 20 us: 0.90).
cdef unsigned COALESCE_US = 50
cdef int64_t FOREVER_NS = 24 * 3600 * <int64_t> 1000000000

# Generations start at 1. A token of generation 0 is of no operation: 0 is of what nobody hears of,
# others are of pushes, 1 + the fd, or of cancels: the bit, how often it was tried, and the slot.
cdef uint64_t IGNORED = 0
cdef uint64_t CANCEL_BIT = <uint64_t> 1 << 31
cdef uint64_t CANCEL_TRY = 1 << 24      # slots are below it
cdef unsigned CANCEL_TRIES_MAX = 15
cdef int NO_CORK = 0
cdef uint64_t SLOT_MASK = 0xFFFFFFFF

# A closing loop waits for at most 50 ms until the kernel is done with what it sent in place.
cdef long NOTIFICATION_WAIT_NS = 5000000
cdef int NOTIFICATION_WAITS_MAX = 10


@cython.no_gc_clear     # __dealloc__ needs the ring
cdef class LoopChannel(Channel):
    """`entries` SQEs are batched before a submission is forced; see Channel for the contract."""

    def __cinit__(self, unsigned entries=256, unsigned completion_entries=2048,
                  bint is_shared=False, backend=None):
        self.entries = entries
        self.completion_entries = completion_entries
        self.backend = wanted_backend(backend)
        self.ring = make_ring(self.backend, entries, completion_entries, is_shared)
        if not self.ring.shows_completions:
            # What only the kernel's own ring does.
            self.has_send_zero_copy = self.has_futex_wait = self.has_push = False
            self.has_minimal_wait = self.has_registered_buffers = False
        elif not self.can_coalesce():
            self.has_minimal_wait = False
        self.coalescing = Coalescing(COALESCE_US if self.can_coalesce() else 0)
        self.spinning = Spinning()
        self.pins = Pins()
        self.pins_wanted = []

    def __dealloc__(self):
        # Only reached with requests in flight when a loop was never closed: their memory is
        # ours, so the kernel must be done with it before it goes.
        if self.inflight and not self.is_closed and not self.is_forked:
            try:
                self.take_back()
            except Exception:
                pass
        self.quarantine()

    # ---- in ----------------------------------------------------------------------------------

    cdef int make_room(self) except -1:
        """The submission queue is full: let the ring take what is there."""
        cdef int got = self.ring.make_room()
        if got < 0 and got != -EINTR and got != -EBUSY and got != -EAGAIN:
            raise_os_error(-got, "io_uring_enter")
        if got == -EBUSY:
            self.reap()
        return 0

    cdef int submit(self, Operation operation) except -1:
        cdef io_uring_sqe *sqe
        cdef uint64_t token
        self.check_usable()
        if operation.state != IDLE:
            raise InvariantError("operation submitted twice")
        if not self.is_started:
            # Between two runs the ring may be another thread's: it goes in at the next start.
            self.acquire(operation)
            return self.park_slot(operation.slot)
        self.ensure_slot()      # before an SQE is taken, since it allocates
        sqe = self.ring.take_sqe()
        while sqe == NULL:
            self.make_room()
            sqe = self.ring.take_sqe()
        token = self.acquire(operation)
        operation.prepare(sqe)
        sqe.user_data = token
        return 0

    cdef int cancel(self, Operation operation) except -1:
        cdef io_uring_sqe *sqe
        if self.is_forked:
            return 0        # the request is the parent's
        if operation.state == INFLIGHT:
            self.check_usable()
            sqe = self.ring.take_sqe()
            while sqe == NULL:
                self.make_room()
                sqe = self.ring.take_sqe()
            self.prepare_cancel(sqe, operation, 0)
            operation.state = CANCELLING
        elif operation.state == PARKED:
            self.post_cancelled(operation)
        elif operation.state == STARVED:
            operation.state = IDLE
            self.acquire(operation)
            self.inflight -= 1
            self.post_cancelled(operation)
        return 0

    cdef void prepare_cancel(self, io_uring_sqe *sqe, Operation operation, unsigned tries) noexcept:
        sqe.opcode = OP_ASYNC_CANCEL
        sqe.flags = SQE_CQE_SKIP_SUCCESS
        sqe.fd = -1
        sqe.addr = (<uint64_t> self.generations[operation.slot] << 32) | operation.slot
        sqe.user_data = IGNORED
        if not self.ring.is_shared:
            sqe.user_data = CANCEL_BIT | tries * CANCEL_TRY | operation.slot

    cdef int cancel_failed(self, uint64_t user_data, int result) except -1:
        """The kernel did not find a request that was on its way, as of a poll that came true to a
        worker (ENOENT), or called a worker that did not sleep yet (EALREADY): the next time it
        will."""
        cdef uint32_t slot = user_data & (CANCEL_TRY - 1)
        cdef unsigned tries = (user_data & (CANCEL_BIT - 1)) // CANCEL_TRY
        cdef Operation operation
        cdef io_uring_sqe *sqe
        if result not in (-ENOENT, -EALREADY) or tries == CANCEL_TRIES_MAX:
            return 0
        if self.operations[slot] is None:
            return 0
        operation = <Operation> self.operations[slot]
        if operation.state != CANCELLING or operation.has_left:
            return 0
        sqe = self.ring.take_sqe()
        if sqe != NULL:
            self.prepare_cancel(sqe, operation, tries + 1)
        return 0

    cdef int cancel_now(self, Operation operation) except -1:
        cdef bint is_held = operation.state == INFLIGHT or operation.state == CANCELLING
        cdef uint64_t before
        cdef unsigned idle = 0
        self.cancel(operation)
        if is_held and self.is_started:
            # An enter runs a bounded share of the kernel's work: on until it has none left. That it
            # has some it says after it has put it there, and so, at times, when we did it already.
            while idle < IDLE_ENTERS_MAX:
                before = self.completed
                self.make_room()
                self.reap()
                if not self.ring.wants_enter() and self.ring.unsubmitted() == 0:
                    break
                idle = idle + 1 if self.completed == before else 0
        return 0

    cdef void forget(self, int fd) noexcept:
        if self.ring.is_open:
            self.ring.forget(fd)

    cdef int push(self, int fd) except -1:
        """Let the bytes that MSG_MORE has held back on a TCP socket leave, with the next `wait`."""
        cdef io_uring_sqe *sqe
        if not self.has_push:
            push_now(fd)
            return 0
        sqe = self.ring.take_sqe()
        while sqe == NULL:
            self.make_room()
            sqe = self.ring.take_sqe()
        prepare_setsockopt(sqe, fd, IPPROTO_TCP, TCP_CORK, &NO_CORK)
        sqe.flags = SQE_CQE_SKIP_SUCCESS
        sqe.user_data = <uint64_t> fd + 1
        return 0

    cdef void push_refused(self, int fd, int result) noexcept:
        """A kernel before 6.7, or a policy, knows no such request. No other code has run since."""
        if result in (-EOPNOTSUPP, -EINVAL, -EACCES, -EPERM):
            self.has_push = False
        push_now(fd)

    cdef bint knows_futex_wait(self) noexcept:
        """Whether the kernel says that its rings wait for futexes."""
        cdef uint64_t[PROBE_WORDS] memory
        cdef io_uring_probe *probe = <io_uring_probe *> memory
        memset(memory, 0, sizeof(memory))
        if self.ring.register_(REGISTER_PROBE, probe, PROBED_MAX) < 0:
            return False
        return (probe.last_op >= OP_FUTEX_WAIT
                and probe.ops[<int> OP_FUTEX_WAIT].flags & OP_SUPPORTED != 0)

    # ---- out ---------------------------------------------------------------------------------

    cdef bint is_pending(self) noexcept:
        return (self.completion_head != self.completion_tail or self.ring.unsubmitted() != 0
                or self.ring.visible() != 0 or self.ring.wants_enter()
                or (not self.ring.shows_completions and self.ring.is_look_due()))

    cdef int reap(self) except -1:
        """Read every visible completion; the ring is free again before anyone is told."""
        cdef unsigned head = load_relaxed(self.ring.uring.cq.khead)
        cdef unsigned count = self.ring.visible()
        cdef unsigned mask = self.ring.uring.cq.ring_mask
        cdef io_uring_cqe cqe
        cdef unsigned index
        self.completed += count
        for index in range(count):
            cqe = self.ring.uring.cq.cqes[(head + index) & mask]
            # Given back before it is recorded: an error below must not bring it up again.
            store_release(self.ring.uring.cq.khead, head + index + 1)
            if cqe.user_data >> 32 == 0:
                if cqe.user_data & CANCEL_BIT:
                    self.cancel_failed(cqe.user_data, cqe.res)
                elif cqe.user_data != IGNORED:
                    self.push_refused(<int> (cqe.user_data - 1), cqe.res)
                continue
            if self.is_pausing and cqe.res == -ECANCELED and self.park(cqe.user_data):
                continue
            self.record(cqe.user_data, cqe.res, cqe.flags)
        return 0

    cdef bint park(self, uint64_t token) except -1:
        """During a pause: keep the slot of a request that nobody but us has cancelled."""
        cdef uint32_t slot = <uint32_t> (token & SLOT_MASK)
        cdef Operation operation
        if not self.is_held(slot, token):
            return False
        operation = <Operation> self.operations[slot]
        if operation.state != INFLIGHT or operation.is_notified:
            return False
        self.park_slot(slot)
        return True

    cdef int wait(self, int64_t timeout_ns) except -1:
        cdef Ring ring = self.ring
        cdef unsigned submitted = ring.unsubmitted()
        cdef int got
        if timeout_ns == 0 or self.completion_head != self.completion_tail or ring.visible():
            if ring.unsubmitted() == 0 and not ring.wants_enter() and ring.shows_completions:
                return self.reap()
            got = ring.enter(0, NULL)
        elif self.spin(&timeout_ns):
            return 0
        else:
            got = self.wait_asleep(timeout_ns)
        if (got == 0 and submitted > ENTER_WORK_MAX and ring.visible() > ENTER_WORK_MAX
                and ring.wants_enter()):
            got = ring.enter(min(submitted, ring.visible()), NULL)
        if got < 0 and got != -ETIME and got != -EINTR and got != -EBUSY and got != -EAGAIN:
            raise_os_error(-got, "io_uring_enter")
        return self.reap()

    cdef int wait_asleep(self, int64_t timeout_ns) noexcept:
        """Submit everything, and wait for a completion; 0 or -errno."""
        cdef kernel_timespec timeout
        cdef Ring ring = self.ring
        cdef unsigned wait_count = 1
        cdef unsigned min_wait_us = 0
        cdef bint is_sleep = not ring.wants_enter()
        cdef int64_t start = monotonic_ns()
        cdef bint before
        cdef int got
        if is_sleep and self.coalescing.flows and self.wants_coalescing(timeout_ns, start):
            wait_count = self.coalescing.flows + 1
            min_wait_us = self.coalescing.limit_us
        before = let_program_in()       # other threads'
        if timeout_ns < 0 and min_wait_us == 0:
            with nogil:
                got = ring.enter(1, NULL)
        else:
            if timeout_ns < 0:
                timeout_ns = FOREVER_NS
            timeout.tv_sec = timeout_ns // 1000000000
            timeout.tv_nsec = timeout_ns % 1000000000
            with nogil:
                got = ring.wait(wait_count, min_wait_us, &timeout)
        program_left(before)
        if is_sleep:
            self.spinning.slept(monotonic_ns() - start, self.completed)
        return got

    cdef bint spin(self, int64_t *timeout_ns) except -1:
        """Whether the wait is over without a sleep, because something completed while we looked for
        it, or it was time; else the time-out is what is left of it."""
        cdef int64_t limit_ns = self.spinning.next_ns()
        cdef bint is_timed = 0 <= timeout_ns[0] <= limit_ns
        cdef int64_t start, found_ns
        cdef bint before
        if limit_ns == 0 or (self.spinning.is_adaptive
                             and (self.coalescing.flows or not self.ring.shows_completions)):
            return False
        if self.ring.unsubmitted():
            self.make_room()
            if self.completion_head != self.completion_tail:
                return True
        if is_timed:
            limit_ns = timeout_ns[0]
        start = monotonic_ns()
        before = let_program_in()       # other threads'
        with nogil:
            found_ns = self.ring.spin(limit_ns)
        program_left(before)
        self.spinning.looked_ns += monotonic_ns() - start
        if found_ns >= 0 or not is_timed:       # a timer that came due says nothing
            self.spinning.looked(found_ns, self.completed)
        if found_ns < 0:
            # A signal does not interrupt a look, and from here on none would end the sleep.
            before = let_program_in()
            try:
                PyErr_CheckSignals()
            finally:
                program_left(before)
            if timeout_ns[0] >= 0:
                timeout_ns[0] -= limit_ns
            return is_timed
        if self.ring.wants_enter():
            self.make_room()
        self.reap()
        return True

    cdef bint can_coalesce(self) noexcept:
        return self.has_minimal_wait and self.ring.has_min_wait

    cdef bint wants_coalescing(self, int64_t timeout_ns, int64_t now) noexcept:
        """Whether the sleep that comes is to be longer for what flows bring."""
        if 0 <= timeout_ns <= self.coalescing.limit_us * 1000 or self.spinning.fixed_ns:
            return False
        return self.coalescing.is_kept(now)

    # ---- whose thread ------------------------------------------------------------------------

    cdef int start(self) except -1:
        self.check_usable()
        try:
            self.take_ring()
            self.has_run = True
            self.register_pools()
            self.submit_parked()
            self.spinning.restart()     # in this thread, perhaps another, with its own CPU time
            self.coalescing.restart()
            self.is_started = True
            if self.starved:
                self.feed()
            while self.pins_wanted:
                self.pins.pin(self.ring, <Region> self.pins_wanted.pop())
        except BaseException:
            self.pause()        # the next start finds all of it as this one did
            raise
        return 0

    cdef int take_ring(self) except -1:
        """The ring becomes the calling thread's, or one that is takes over: `pause` saw to it
        that nothing is in flight."""
        if not self.ring.is_open:       # made before a fork, and first started in the child
            self.ring = make_ring(self.ring.backend, self.entries, self.completion_entries, False)
        if self.ring.attach() != -EEXIST:
            return 0
        if self.inflight:
            raise InvariantError("requests in flight in another thread's ring")
        ring = make_ring(self.ring.backend, self.entries, self.completion_entries, False)
        for pool in self.pools():
            (<BufferRing> pool).unregister()
        self.quarantine()
        self.ring.close()
        self.ring = ring
        self.ring.attach()
        self.pins.move_to(ring)
        return 0

    cdef int register_pools(self) except -1:
        """The first refusal decides, as when a pool is made: `submit_parked` ends its receives."""
        for pool in self.pools():
            if (<BufferRing> pool).ring is None:
                try:
                    (<BufferRing> pool).register_with(self.ring)
                except OSError:
                    if pool in (self.datagrams, self.segmented, self.lending_datagrams):
                        self.has_multishot_message = False
                    else:
                        self.has_multishot_receive = False
        return 0

    cdef int submit_parked(self) except -1:
        cdef uint32_t slot
        cdef uint32_t done = 0
        cdef uint32_t count = self.parked_count
        cdef Operation operation
        try:
            while done < count:
                slot = self.parked[done]
                if self.operations[slot] is not None:
                    operation = <Operation> self.operations[slot]
                    if operation.state == PARKED:
                        self.submit_again(operation)
                done += 1
        finally:    # what was not reached stays
            self.parked_count -= done
            if self.parked_count:
                memmove(self.parked, self.parked + done, self.parked_count * sizeof(uint32_t))
        return 0

    cdef int submit_again(self, Operation operation) except -1:
        cdef uint64_t token = (<uint64_t> self.generations[operation.slot] << 32) | operation.slot
        cdef io_uring_sqe *sqe
        if operation.owner is not None and not operation.owner.is_fd_ours():
            return self.post_cancelled(operation)   # the owner finds out when it submits it again
        if operation.pool is not None and operation.pool.ring is None:
            # A kernel that knows no such receive answers so, and its owner does without.
            operation.state = INFLIGHT
            return self.queue(token, -EINVAL, 0)
        sqe = self.ring.take_sqe()
        while sqe == NULL:
            self.make_room()
            sqe = self.ring.take_sqe()
        operation.prepare(sqe)
        operation.state = INFLIGHT
        sqe.user_data = token
        self.inflight += 1
        return 0

    @property
    def pinned(self):
        """Bytes registered with the ring, which RLIMIT_MEMLOCK counts."""
        return self.pins.size

    cdef int pin(self, Region region) except -1:
        if not self.has_registered_buffers:
            return 0
        if self.is_started:
            return self.pins.pin(self.ring, region)
        self.pins_wanted.append(region)
        return 0

    cdef int pin_of(self, Region region) noexcept:
        return self.pins.index_of(region)

    cdef int pause(self) except -1:
        self.is_started = False
        try:
            self.take_back()
        finally:
            self.ring.detach()
        return 0

    cdef int take_back(self) except -1:
        cdef io_uring_sqe *sqe
        cdef int got
        if self.ring.unsubmitted():
            self.make_room()
            self.reap()
        self.is_pausing = True
        try:
            while self.inflight:
                sqe = self.ring.take_sqe()
                if sqe != NULL:
                    sqe.opcode = OP_ASYNC_CANCEL
                    sqe.fd = -1
                    sqe.cancel_flags = ASYNC_CANCEL_ALL | ASYNC_CANCEL_ANY
                    sqe.user_data = IGNORED
                # The cancel's own completion ends the wait; each enter runs a bounded share of
                # the work, so go on until the books say that nothing is left.
                got = self.ring.enter(1, NULL)
                if got < 0 and got != -EINTR and got != -EBUSY and got != -EAGAIN:
                    raise_os_error(-got, "io_uring_enter while taking requests back")
                self.reap()
        finally:
            self.is_pausing = False
        return 0

    cdef int await_notifications(self) except -1:
        """At close, for a moment: the kernel is about to be done with most of what was sent."""
        cdef kernel_timespec timeout
        cdef int tries = 0
        timeout.tv_sec = 0
        timeout.tv_nsec = NOTIFICATION_WAIT_NS
        while self.notifying and tries < NOTIFICATION_WAITS_MAX:
            tries += 1
            self.ring.enter(1, &timeout)
            self.reap()
        return 0

    cdef list pools(self):
        """Every buffer ring that has been made."""
        return [pool for pool in (self.buffers, self.lending, self.flood, self.datagrams,
                                  self.segmented, self.lending_datagrams) if pool is not None]

    cdef BufferRing make_pool(self, unsigned group, unsigned slots, size_t slot_size,
                              Pool memory=None):
        self.check_usable()
        pool = BufferRing(group, slots, slot_size, memory)
        if self.is_started:
            pool.register_with(self.ring)
        return pool

    cdef BufferRing receive_buffers(self):
        if self.buffers is None and self.has_multishot_receive:
            try:
                self.buffers = self.make_pool(1, POOL_SLOTS, POOL_SLOT_SIZE)
            except (OSError, MemoryError):
                self.has_multishot_receive = False
        return self.buffers

    cdef BufferRing lending_buffers(self):
        if self.lending is None and self.has_multishot_receive:
            try:
                self.lending = self.make_pool(3, LENDING_SLOTS, LENDING_SLOT_SIZE,
                                              self.lending_pool())
            except OSError:
                self.has_multishot_receive = False
            except MemoryError:
                pass        # the pool is at its limit: that is no fault of the kernel's
        return self.lending

    cdef BufferRing flood_buffers(self):
        if self.flood is None and self.has_multishot_receive:
            try:
                self.flood = self.make_pool(5, FLOOD_SLOTS, FLOOD_SLOT_SIZE, self.lending_pool())
            except (OSError, MemoryError):
                pass        # direct receives do as well, if at more cost
        return self.flood

    cdef BufferRing lending_datagram_buffers(self):
        if self.lending_datagrams is None and self.has_multishot_message:
            try:
                self.lending_datagrams = self.make_pool(4, LENDING_DATAGRAM_SLOTS,
                                                        DATAGRAM_SLOT_SIZE, self.lending_pool())
            except OSError:
                self.has_multishot_message = False
            except MemoryError:
                pass        # as above
        return self.lending_datagrams

    cdef BufferRing datagram_buffers(self):
        if self.datagrams is None and self.has_multishot_message:
            try:
                self.datagrams = self.make_pool(2, DATAGRAM_SLOTS, DATAGRAM_SLOT_SIZE)
            except (OSError, MemoryError):
                self.has_multishot_message = False
        return self.datagrams

    cdef BufferRing segmented_buffers(self):
        if self.segmented is None and self.has_multishot_message:
            try:
                self.segmented = self.make_pool(6, SEGMENTED_SLOTS, DATAGRAM_SLOT_SIZE)
            except (OSError, MemoryError):
                self.has_multishot_message = False
        return self.segmented

    def close(self):
        """End every request, then the ring. Idempotent; in a forked child it only lets go."""
        if self.is_closed:
            return
        if self.ring.is_open:
            attached = self.ring.attach()
            if attached != -EEXIST:
                self.take_back()
                self.await_notifications()
                self.ring.detach()
            elif self.inflight:
                raise InvariantError("requests in flight in another thread's ring")
        self.is_closed = True
        self.quarantine()
        self.discard_all()
        self.ring.close()
        self.buffers = self.lending = self.flood = None
        self.datagrams = self.segmented = self.lending_datagrams = None

    def abandon(self):
        """In a forked child: the ring is the parent's. Closes our copy of its fd, no more.

        A channel that has never run has nothing else in the kernel, nor memory that the child did
        not inherit: its first start in the child makes a ring.
        """
        if self.is_closed or not self.ring.is_open:
            return
        pools = self.pools()
        self.is_forked = self.has_run or self.ring.is_shared or len(pools) > 0
        close(self.ring.uring.ring_fd)
        self.ring.abandon()
        self.pins.abandon()
        for pool in pools:
            pool.abandon()

    def statistics(self):
        """Counters of the channel and of what it is made of, as a new dict without a system call.

        `zcloop.loop._statistics.Statistics` says what each key means.
        """
        return {
            "spins": self.spinning.spins,
            "spun_ns": self.spinning.looked_ns,
            "coalesced_sleeps": self.coalescing.sleeps,
            "enters": self.ring.enters,
            "submissions": self.ring.submissions,
            "completions": self.completed,
            "inflight": self.inflight,
            "operations": self.held,
            "slots": 0 if self.buffers is None else self.buffers.count,
            "slots_lent": 0 if self.buffers is None else self.buffers.lent,
            "pinned": self.pinned,
            "notifying": self.notifying,
            "quarantined": self.quarantined,
        }
