"""The channel of a loop: it waits for completions, reaps them, and dispatches them to their owners.

`wait` submits, and brings completions in. If nothing is there it may look for them before it sleeps
(`Spinning`), and the sleep may be longer for the sake of a flood (`Coalescing`). `dispatch` hands
completions to the owners of their operations. Code of the program runs in `dispatch` only, never
while the ring is being read. An exception that an owner raises leaves `dispatch` at once; what was
not dispatched stays queued.

Generations start at 1. A completion whose token has generation 0 is no operation's:

    0                       nobody is told of it: `IGNORED`
    1 + an fd               a push was refused, which completes only then
    `CANCEL_BIT` and above  a cancel failed; the token has its number of tries and the slot
"""

cimport cython

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EACCES, EAGAIN, EALREADY, EBUSY, EINTR, EINVAL, ENOENT, EPERM
from libc.stdint cimport int64_t, uint32_t, uint64_t

from zcloop._native.channel.buffer_rings cimport (
    DATAGRAMS, FLOOD, LENDING, LENDING_DATAGRAMS, RECEIVED, SEGMENTED,
)
from zcloop._native.channel.channel cimport IGNORED, Channel, discard_completion, is_allowed
from zcloop._native.channel.completions cimport Completion
from zcloop._native.channel.pausable cimport PausableChannel
from zcloop._native.kernel.atomics cimport load_relaxed, store_release
from zcloop._native.kernel.clock cimport monotonic_ns
from zcloop._native.kernel.collector cimport let_program_in, program_left
from zcloop._native.kernel.errors cimport ECANCELED, EOPNOTSUPP, ETIME, raise_os_error
from zcloop._native.kernel.tcp cimport IPPROTO_TCP, TCP_CORK, push_now
from zcloop._native.kernel.uring cimport (
    CQE_F_MORE, SQE_CQE_SKIP_SUCCESS, io_uring_cqe, io_uring_sqe, kernel_timespec,
    prepare_setsockopt,
)
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.operation.operation cimport (
    CANCELLING, INFLIGHT, NOT_YET, Operation, Owner,
)
from zcloop._native.operation.poll cimport UNREADY, Poll
from zcloop._native.pacing.coalescing cimport Coalescing
from zcloop._native.pacing.spinning cimport Spinning
from zcloop._native.ring.ring cimport Ring

# One enter runs the deferred work of at most 20 requests, or of as many as it is to wait for. A
# poll of a socket that is readable already completes when it is submitted, and does not count:
# requests that have waited longer would get a small share of such a turn. So the channel then
# enters again.
cdef unsigned ENTER_WORK_MAX = 20

# Enters without a completion, after which the kernel's hint that it has work is an old one.
cdef unsigned IDLE_ENTERS_MAX = 4

# How long a flood gathers, as with network cards. At 300,000 datagrams a second 50 us take 0.71 of
# the CPU at 1.3 times the rate of a loop that does not wait (30 us: 0.80 of it, 20 us: 0.90).
cdef unsigned COALESCE_US = 50
# A day, for a wait without an end: one with a minimum needs a time-out.
cdef int64_t FOREVER_NS = 24 * 3600 * <int64_t> 1000000000

# In a token of a cancel, which an fd never has: it is below 2^31.
cdef uint64_t CANCEL_BIT = <uint64_t> 1 << 31
cdef uint64_t CANCEL_TRY = 1 << 24      # a slot is below it
# The second finds the request as a rule; 7 bits between the two would hold 127.
cdef unsigned CANCEL_TRIES_MAX = 15
cdef int NO_CORK = 0


@cython.no_gc_clear     # as Channel
cdef class LoopChannel(PausableChannel):
    """The channel of one loop. `start`, `pause` and what lies between belong to one thread."""

    def __cinit__(self):
        cdef bint is_kernels = self.ring.shows_completions
        self.has_segmented_send = is_allowed("segmented_send")
        # What only the kernel's own ring does.
        self.has_send_zero_copy = is_kernels and is_allowed("send_zero_copy")
        self.has_push = is_kernels and is_allowed("push")
        self.has_minimal_wait = (is_kernels and self.ring.has_min_wait
                                 and is_allowed("minimal_wait"))
        self.coalescing = Coalescing(COALESCE_US if self.can_coalesce() else 0)
        self.spinning = Spinning()

    def __dealloc__(self):
        self.let_go()

    cdef int start(self) except -1:
        PausableChannel.start(self)
        self.spinning.restart()     # in this thread, perhaps another, with its own CPU time
        self.coalescing.restart()
        return 0

    # ---- in ----------------------------------------------------------------------------------

    cdef void prepare_cancel(self, io_uring_sqe *sqe, Operation operation, unsigned tries) noexcept:
        Channel.prepare_cancel(self, sqe, operation, tries)
        sqe.user_data = CANCEL_BIT | tries * CANCEL_TRY | operation.slot

    cdef int cancel_again(self, uint64_t user_data, int result) except -1:
        """A cancel failed: the kernel did not find a request that was on its way to a worker, as
        when a poll has come true (ENOENT), or the worker that it called did not sleep yet
        (EALREADY). The next cancel will find it."""
        cdef uint32_t slot = user_data & (CANCEL_TRY - 1)
        cdef unsigned tries = (user_data & (CANCEL_BIT - 1)) // CANCEL_TRY
        cdef Operation operation
        cdef io_uring_sqe *sqe
        if result not in (-ENOENT, -EALREADY) or tries == CANCEL_TRIES_MAX:
            return 0
        if self.table.operations[slot] is None:
            return 0
        operation = <Operation> self.table.operations[slot]
        if operation.state != CANCELLING or operation.has_left:
            return 0
        sqe = self.ring.take_sqe()
        if sqe != NULL:
            self.prepare_cancel(sqe, operation, tries + 1)
        return 0

    cdef int cancel_now(self, Operation operation) except -1:
        """`cancel`, and the kernel has let go of the file when it returns."""
        cdef bint is_held = operation.state == INFLIGHT or operation.state == CANCELLING
        cdef uint64_t before
        cdef unsigned idle = 0
        self.cancel(operation)
        if is_held and self.is_started:
            # An enter runs a bounded share of the kernel's work, so enter until none is left. The
            # kernel says that it has work after it has put it there, and at times it says so when
            # the work is done already.
            while idle < IDLE_ENTERS_MAX:
                before = self.completed
                self.make_room()
                self.reap()
                if not self.ring.wants_enter() and self.ring.unsubmitted() == 0:
                    break
                idle = idle + 1 if self.completed == before else 0
        return 0

    cdef void forget(self, int fd) noexcept:
        """A descriptor that nothing is asked of any more is about to be closed."""
        if self.ring.is_open:
            self.ring.forget(fd)

    cdef int push(self, int fd) except -1:
        """Let the bytes that MSG_MORE has held back on a TCP socket leave, with the next `wait`."""
        cdef io_uring_sqe *sqe
        if not self.has_push:
            push_now(fd)
            return 0
        sqe = self.take_sqe()
        prepare_setsockopt(sqe, fd, IPPROTO_TCP, TCP_CORK, &NO_CORK)
        sqe.flags = SQE_CQE_SKIP_SUCCESS
        sqe.user_data = <uint64_t> fd + 1
        return 0

    cdef void push_refused(self, int fd, int result) noexcept:
        """A kernel before 6.7, or a policy, knows no such request. No other code has run since."""
        if result in (-EOPNOTSUPP, -EINVAL, -EACCES, -EPERM):
            self.has_push = False
        push_now(fd)

    # ---- wait --------------------------------------------------------------------------------

    cdef bint is_pending(self) noexcept:
        """Whether there is something to submit, bring in or dispatch without sleeping."""
        return (not self.completions.is_empty() or self.ring.unsubmitted() != 0
                or self.ring.visible() != 0 or self.ring.wants_enter()
                or (not self.ring.shows_completions and self.ring.is_look_due()))

    cdef int wait(self, int64_t timeout_ns) except -1:
        """Submit, and bring in what completed; sleep for at most `timeout_ns` (-1: no limit)."""
        cdef Ring ring = self.ring
        cdef unsigned submitted = ring.unsubmitted()
        cdef int got
        if timeout_ns == 0 or not self.completions.is_empty() or ring.visible():
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
        it, or because it was time. If it is not over, the time-out is what is left of it."""
        cdef int64_t limit_ns = self.spinning.next_ns()
        cdef bint is_timed = 0 <= timeout_ns[0] <= limit_ns
        cdef int64_t start, found_ns
        cdef bint before
        if limit_ns == 0 or (self.spinning.is_adaptive
                             and (self.coalescing.flows or not self.ring.shows_completions)):
            return False
        if self.ring.unsubmitted():
            self.make_room()
            if not self.completions.is_empty():
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
        return self.has_minimal_wait

    cdef bint wants_coalescing(self, int64_t timeout_ns, int64_t now) noexcept:
        """Whether the sleep that comes is to be longer for what flows bring."""
        if 0 <= timeout_ns <= self.coalescing.limit_us * 1000 or self.spinning.fixed_ns:
            return False
        return self.coalescing.is_kept(now)

    # ---- out ---------------------------------------------------------------------------------

    cdef int reap(self) except -1:
        cdef unsigned head = load_relaxed(self.ring.uring.cq.khead)
        cdef unsigned count = self.ring.visible()
        cdef unsigned mask = self.ring.uring.cq.ring_mask
        cdef io_uring_cqe cqe
        cdef unsigned index
        self.completed += count
        for index in range(count):
            cqe = self.ring.uring.cq.cqes[(head + index) & mask]
            # Given back before it is noted: an error below must not bring it up again.
            store_release(self.ring.uring.cq.khead, head + index + 1)
            if cqe.user_data >> 32 == 0:
                if cqe.user_data & CANCEL_BIT:
                    self.cancel_again(cqe.user_data, cqe.res)
                elif cqe.user_data != IGNORED:
                    self.push_refused(<int> (cqe.user_data - 1), cqe.res)
                continue
            if self.is_pausing and cqe.res == -ECANCELED and self.park(cqe.user_data):
                continue
            self.table.note_completion(cqe.user_data, cqe.flags)
            self.completions.append(cqe.user_data, cqe.res, cqe.flags)
        return 0

    cdef bint has_undispatched(self) noexcept:
        """Whether others wait for their completions."""
        return not self.completions.is_empty()

    cdef int dispatch(self) except -1:
        """Hand every queued completion to its operation's owner, in order. Returns how many."""
        try:
            return self.dispatch_queued()
        finally:    # an exception may come with the last completion: nothing else feeds them
            if self.starved:
                self.feed()

    cdef int dispatch_queued(self) except -1:
        cdef Completion completion
        cdef Operation operation
        cdef Owner owner
        cdef int count = 0
        while not self.completions.is_empty() and not self.is_forked:
            completion = self.completions.pop()
            if not self.table.is_held(completion.token):
                continue
            count += 1
            operation = self.table.operation_of(completion.token)
            if operation.is_poll and (
                    (<Poll> operation).is_by_edge or completion.result & ~UNREADY == 0):
                if self.waits_on(<Poll> operation, &completion):
                    continue
            if not completion.flags & CQE_F_MORE:
                self.table.release(operation)
            owner = operation.owner     # held: it may let go of the operation, and of itself
            if owner is None:
                discard_completion(operation, completion.result, completion.flags)
            else:
                owner.completed(operation, completion.result, completion.flags)
        return count

    cdef bint waits_on(self, Poll poll, Completion *completion) except -1:
        """Whether a poll goes on after this, since nothing that was asked for has come: see Poll.
        If it does not, the completion is what its owner is to be told."""
        cdef bint is_wanted = poll.state == INFLIGHT and poll.owner is not None
        cdef int told
        if completion.flags & CQE_F_MORE:
            if is_wanted and poll.is_news(completion.result):
                poll.found = completion.result
                self.cancel(poll)       # told at its end, when the kernel has let go of the file
            return True
        told = poll.conclude(completion.result)
        if told != NOT_YET:
            completion.result = told
        elif is_wanted and poll.owner.is_fd_ours():
            self.table.release(poll)
            self.submit(poll)
            return True
        return False

    # ---- buffers -----------------------------------------------------------------------------

    cdef BufferRing receive_buffers(self):
        return self.buffers_of(RECEIVED)

    cdef BufferRing lending_buffers(self):
        return self.buffers_of(LENDING)

    cdef BufferRing flood_buffers(self):
        return self.buffers_of(FLOOD)

    cdef BufferRing datagram_buffers(self):
        return self.buffers_of(DATAGRAMS)

    cdef BufferRing lending_datagram_buffers(self):
        return self.buffers_of(LENDING_DATAGRAMS)

    cdef BufferRing segmented_buffers(self):
        return self.buffers_of(SEGMENTED)

    @property
    def buffers(self):
        return self.buffer_rings.of(RECEIVED)

    @property
    def lending(self):
        return self.buffer_rings.of(LENDING)

    @property
    def flood(self):
        return self.buffer_rings.of(FLOOD)

    @property
    def datagrams(self):
        return self.buffer_rings.of(DATAGRAMS)

    @property
    def lending_datagrams(self):
        return self.buffer_rings.of(LENDING_DATAGRAMS)

    @property
    def segmented(self):
        return self.buffer_rings.of(SEGMENTED)

    # ---- what it counts ----------------------------------------------------------------------

    def statistics(self):
        """As of PausableChannel, with what is measured while the channel waits."""
        counted = PausableChannel.statistics(self)
        counted["spins"] = self.spinning.spins
        counted["spun_ns"] = self.spinning.looked_ns
        counted["coalesced_sleeps"] = self.coalescing.sleeps
        return counted
