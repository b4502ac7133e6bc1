"""The native half of zcloop.Loop: the turn, operations that are awaited, and the end.

One turn, as asyncio orders it (poll, timers, ready callbacks):

    1. flush      clients push what they let the kernel hold back; new watches are armed
    2. wait       one io_uring_enter submits all requests, and sleeps if nothing is ready
    3. run        callbacks that were ready before, and timers that are due, first in first out
    4. dispatch   completions go to their owners: protocols are called from here
    5. run        callbacks that steps 3 and 4 made ready

Step 3 comes before step 4, as in asyncio: there the callbacks of I/O queue up behind those that
were ready when the selector was asked. Step 5 saves a turn: a task that a completion woke writes
its answer before the next flush.

`_run_once` runs turns until `_stopping`, so the interpreter's own run_forever drives it unchanged.
Before the first turn the channel is bound to the running thread. After the last one its requests
are taken back from the kernel, and it is bound to no thread.

`Watching`, the base class, has the readers and writers. `Output` knows who pushes at the end of a
turn, and `Wakeup` what ends a sleep from outside.
"""

import os
import weakref

cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc

from zcloop._native.kernel.clock cimport monotonic, monotonic_ns
from zcloop._native.kernel.collector cimport hold_collector, let_collector_go
from zcloop._native.kernel.mman cimport zc_touch
from zcloop._native.loop.pending cimport make_pending
from zcloop._native.loop.transport_table cimport find_transport, list_transports
from zcloop._native.loop.wakeup cimport make_wakeup
from zcloop._native.operation.operation cimport IDLE, NOT_YET, Operation
from zcloop._native.pacing.spinning cimport Spinning

# The longest sleep of one turn, as of asyncio's loops (base_events.MAXIMUM_SELECT_TIMEOUT).
cdef double TIMEOUT_MAX_S = 24 * 3600.0

cdef enum:
    # Each is held by a `test_how_long_is_bounded`: tests/unit/loop/test_spinning.py,
    # tests/unit/pacing/test_coalescing.py.
    SPIN_MAX_US = 1000000
    COALESCE_MAX_US = 200       # what comes last in a flood is late by it
    # Freeing a block of this size raises glibc's threshold for mmap to it: mallopt(3),
    # M_MMAP_THRESHOLD. What a transport receives or copies at a time is smaller.
    WARM_SIZE = 1 << 20

_cores = weakref.WeakSet()      # the loops that a forked child has to abandon


def _after_fork_in_child():
    for core in list(_cores):
        (<Core> core).abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)


cdef void warm_heap() noexcept:
    """Free one large block when a loop is made.

    From then on glibc serves blocks of the size of a receive from the heap. Without this each one
    costs an mmap, its page faults, and a munmap.
    """
    cdef char *block = <char *> malloc(WARM_SIZE)
    if block != NULL:
        zc_touch(block)     # without it the compiler drops malloc and free
        free(block)


cdef class Core(Watching):
    def __cinit__(self, *args, **kwargs):
        self.output = Output()
        self.bulk_reading = BulkReading()
        self.raised_marks = set()
        self.over_quota = set()
        warm_heap()
        self.wakeup = make_wakeup(self.channel)
        _cores.add(self)

    # ---- the turn ----------------------------------------------------------------------------
    # Its methods are final, so that each is a direct call, which the C compiler can inline.

    def _run_once(self):
        """Run turns until the loop is asked to stop (BaseEventLoop.run_forever calls this)."""
        cdef bint is_held
        if self.wakeup.event_fd < 0 and not self.channel.is_forked:
            self.wakeup.open()
        is_held = hold_collector()
        try:
            self.channel.start()
        finally:
            let_collector_go(is_held)
        self.run_start = monotonic_ns()
        self.bulk_reading.restart()
        self.for_self = {"loop": self}
        try:
            self.wakeup.read_signals()
            while True:
                self.turn()
                if self._stopping:
                    break
        finally:
            self.for_self = None
            self.contexts.forget()
            self.ran_ns += monotonic_ns() - self.run_start
            self.run_start = 0
            if not self.channel.is_forked:
                is_held = hold_collector()
                try:
                    self.end_run()
                finally:
                    let_collector_go(is_held)

    cdef int end_run(self) except -1:
        try:
            # A dup or a fork may have the socket too, and whoever reads there expects a mark of 1.
            while self.raised_marks:
                self.raised_marks.pop().lower()
            self.output.flush()
        finally:
            self.channel.pause()
            self.wakeup.unpark()
        return 0

    @cython.final
    cdef int turn(self) except -1:
        self.turns += 1
        self.check_usable()
        if not self.is_only_ready():
            self.look()
        PyErr_CheckSignals()
        if self._stopping:
            # stop() came before this turn. As asyncio does: poll once, run what came, and end.
            self.dispatch()
            self.expire_timers()
            return self.run_ready()
        self.expire_timers()
        if self.ready.count():
            self.run_ready()
        self.dispatch()
        if self.ready.count() and not self._stopping:
            self.run_ready()
        return 0

    @cython.final
    cdef bint is_only_ready(self) noexcept:
        """Whether there are callbacks to run, and nothing to submit, bring in or look after."""
        return (self.ready.count() != 0 and not self.channel.is_pending()
                and self.output.is_empty()
                and not (self.unarmed or self.socket_holders or self.socket_watches))

    @cython.final
    cdef int look(self) except -1:
        """Flush and wait. The collector is held off, so that no finalizer runs in the middle."""
        cdef bint is_held = hold_collector()
        try:
            self.flush_and_wait()
        finally:
            self.wakeup.is_sleeping = False
            let_collector_go(is_held)
        return 0

    @cython.final
    cdef int dispatch(self) except -1:
        """Hand completions to their owners. The collector is held off while native code runs."""
        cdef bint is_held
        if not (self.channel.has_undispatched() or self.channel.starved):
            return 0
        is_held = hold_collector()
        try:
            return self.channel.dispatch()
        finally:
            let_collector_go(is_held)

    @cython.final
    cdef int flush_and_wait(self) except -1:
        cdef int64_t timeout_ns
        if self.socket_watches or self.socket_holders:
            self.check_sockets()
        if self.unarmed:
            self.arm_watches()
        if not self.output.is_empty():
            self.output.flush()
        if self.ready.count() == 0:
            self.contexts.forget()
        timeout_ns = self.next_timeout_ns()
        if timeout_ns != 0:
            self.sleep(timeout_ns)
        elif self.channel.is_pending():
            self.channel.wait(0)
        return 0

    @cython.final
    cdef int64_t next_timeout_ns(self) noexcept:
        """How long this turn may sleep: until the first timer. 0 is not at all, -1 without end."""
        cdef double delay
        if self.ready.count() or self._stopping:
            return 0
        if self.timers.count == 0:
            return -1
        delay = self.timers.first() - monotonic()
        if delay <= 0:
            return 0
        return <int64_t> ((delay if delay < TIMEOUT_MAX_S else TIMEOUT_MAX_S) * 1e9)

    @cython.final
    cdef int sleep(self, int64_t timeout_ns) except -1:
        """Wait for a completion, and count the time of it that was not spent on polling."""
        cdef Spinning spinning = self.channel.spinning
        cdef int64_t sleep_start
        self.wakeup.listen()
        self.sleeps += 1
        self.wakeup.is_sleeping = True
        spinning.moved(self.received_bytes + self.sent_bytes)
        sleep_start = monotonic_ns() - spinning.looked_ns
        self.channel.wait(timeout_ns)
        self.asleep_ns += monotonic_ns() - spinning.looked_ns - sleep_start
        return 0

    cdef bint is_idle_until(self, double when) noexcept:
        """Whether nothing is known now that a callback which runs until `when` would delay."""
        if (self.ready.count() or not self.output.is_empty() or self.unarmed
                or self._stopping):
            return False
        if self.timers.count and self.timers.first() < when:
            return False
        return not self.channel.is_pending()

    # ---- wake-ups from outside ---------------------------------------------------------------

    cdef int check_usable(self) except -1:
        if self.channel.is_forked:
            self.channel.check_usable()
        return 0

    cdef int wake(self) except -1:
        return self.wakeup.write() if self.wakeup.is_sleeping else 0

    def _write_to_self(self):
        """Wake the loop if it sleeps. Thread-safe; no system call while it is awake."""
        self.wake()

    def _listen_signals(self, int fd):
        """Read signal numbers from this pipe from now on; -1 stops. The fd stays the caller's."""
        self.wakeup.listen_signals(self, fd)
        if fd >= 0 and self.channel.is_started:     # perhaps in another thread
            self.call_soon_threadsafe(self._read_signals)

    def _read_signals(self):
        self.wakeup.read_signals()

    # ---- transports --------------------------------------------------------------------------

    def transport_of(self, int fd):
        """The native transport that has this fd, or None."""
        return find_transport(&self.transports, fd)

    def native_transports(self):
        """Every native transport that has an fd, as a new list."""
        return list_transports(&self.transports)

    # ---- operations that a coroutine waits for -----------------------------------------------

    async def perform(self, Operation operation not None):
        """Submit an operation with the next turn, and return its outcome. A failure is returned as
        -errno, and not raised.

        A cancellation asks the kernel to end the operation. A result that comes nevertheless is
        discarded, and the operation's memory is kept until the kernel is done. Not thread-safe.
        RuntimeError when the loop is closed, or for an operation that is in flight; TypeError for
        what is no Operation; OSError where a wait needs a thread and no descriptor is left.
        """
        self.check_open()
        if operation.state != IDLE:
            raise RuntimeError("this operation is in flight already")
        result = NOT_YET
        while result == NOT_YET:
            if operation.is_word_wait:
                self.channel.adapt(operation)
            future = self.create_future()
            make_pending(operation, future)
            self.channel.submit(operation)
            try:
                result = await future
            except BaseException:
                if future.done() and not future.cancelled():
                    operation.discard(future.result(), 0)
                else:
                    self.channel.cancel(operation)
                raise
            result = operation.settle(result)
        return result if result < 0 else operation.outcome(result)

    def cancel_operation(self, Operation operation not None):
        """End an operation that a coroutine performs: it gets -ECANCELED, unless it is over.

        It is for whoever closes what the operation waits for. Not thread-safe.
        """
        self.channel.cancel(operation)

    # ---- the end -----------------------------------------------------------------------------

    def _close_core(self):
        """End every request, then drop what is ready, timed and watched. Idempotent."""
        self._listen_signals(-1)
        while not (self.output.is_empty() or self.channel.is_forked or self.channel.is_closed):
            try:
                self.output.flush()     # what was written leaves, as if it had been sent at once
            except RuntimeError:
                pass        # a connection failed, and no turn comes to tell its protocol
        self.channel.close()
        self.output = Output()
        self.timers.clear()
        self.ready.clear()
        self.contexts.forget()
        self.drop_watches()
        self.over_quota = set()
        self.wakeup.close()

    def abandon(self):
        """In a forked child: let go of what is in the kernel, which is the parent's.

        A loop that has never run has only a ring and an eventfd there, and its first run in the
        child makes others.
        """
        self.channel.abandon()
        self.wakeup.abandon()

    # ---- tuning and counters -----------------------------------------------------------------

    @property
    def spin_us(self):
        """Microseconds for which a loop with nothing to do polls for completions before it sleeps.

        None, the default, is up to 40, as long as the loop measures that polling nearly always
        finds one and uses less CPU than sleeping: in ping-pong with a quick peer. 0 never polls.
        With 10 to 50 answers come sooner, and a core is busy for as long after each turn. Other
        threads run meanwhile. An int or None; ValueError below 0 and above 1,000,000.
        """
        cdef Spinning spinning = self.channel.spinning
        return None if spinning.is_adaptive else spinning.fixed_ns // 1000

    @spin_us.setter
    def spin_us(self, microseconds):
        cdef Spinning spinning = self.channel.spinning
        cdef int64_t fixed_us = 0
        if microseconds is not None:
            if not 0 <= microseconds <= SPIN_MAX_US:
                raise ValueError(f"spin_us is 0 to {SPIN_MAX_US} microseconds, or None for as long "
                                 f"as it pays, not {microseconds}")
            fixed_us = microseconds
        spinning.fixed_ns = fixed_us * 1000
        spinning.is_adaptive = microseconds is None

    @property
    def coalesce_us(self):
        """Microseconds for which a flood of datagrams gathers before it wakes the loop (first 50).

        A flood is a socket that receives 100 datagrams a millisecond or more, has room for twice
        what comes in that time, and sends next to none. Whatever else completes wakes the loop with
        the next datagram of the flood. When the flood halts, what completes next is late once, by
        this time and the thread's timer slack (50 us). A loop whose `spin_us` is above 0 does not
        wait so. 0 is off; before Linux 6.12 it stays 0. An int; ValueError below 0 and above 200.
        """
        return self.channel.coalescing.limit_us

    @coalesce_us.setter
    def coalesce_us(self, microseconds):
        if not 0 <= microseconds <= COALESCE_MAX_US:
            raise ValueError(
                f"coalesce_us is 0 to {COALESCE_MAX_US} microseconds, not {microseconds}")
        self.channel.coalescing.limit_us = microseconds if self.channel.can_coalesce() else 0
        if microseconds == 0:
            self.channel.coalescing.restart()

    def counters(self):
        """The loop's own counters and its channel's, as a new dict. It makes no system call."""
        cdef int64_t ran_ns = self.ran_ns
        if self.run_start:
            ran_ns += monotonic_ns() - self.run_start
        return self.channel.statistics() | {
            "turns": self.turns,
            "sleeps": self.sleeps,
            "asleep_ns": self.asleep_ns,
            "awake_ns": ran_ns - self.asleep_ns,
            "received_bytes": self.received_bytes,
            "sent_bytes": self.sent_bytes,
            "copied_bytes": self.copied_bytes,
            "transports": len(list_transports(&self.transports)),
            "ready": self.ready.count(),
            "timers": self.timers.count,
        }
