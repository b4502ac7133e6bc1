"""The native half of zcloop.Loop: the turn, output, watches, and operations that are awaited.

One turn, as asyncio orders it (poll, timers, ready callbacks):

    1. flush      what the turn's writes let the kernel hold back leaves; watches are armed
    2. wait       one io_uring_enter: submit all of it, and sleep if nothing is ready
    3. run        what was ready before, and the timers that are due, first in first out
    4. dispatch   completions to their owners: protocols are called from here
    5. run        what the steps 3 and 4 made ready

Step 3 comes before 4 as in asyncio, where the callbacks of I/O queue up behind those that were
ready when the selector was asked. Step 5 saves the turn in between: a task that a completion woke
writes its answer before the flush that follows.

`_run_once` runs turns until `_stopping`, so the interpreter's own run_forever drives it
unchanged. Around it the channel is bound to the running thread and taken back from the kernel.

Nothing is armed for wake-ups while the loop is awake: `is_sleeping`, under the GIL, tells another
thread whether its append to the ready queue needs the eventfd, and only then is it written.
"""

import _socket
import os
import weakref

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EBADF, errno
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset
from posix.unistd cimport close, write

from zcloop._native.pacing.spinning cimport Spinning
from zcloop._native.kernel.clock cimport monotonic, monotonic_ns
from zcloop._native.kernel.collector cimport (
    hold_collector, let_collector_go, let_program_in, program_left,
)
from zcloop._native.kernel.epoll cimport zc_pollable
from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.eventfd cimport EFD_CLOEXEC, eventfd
from zcloop._native.kernel.mman cimport zc_touch
from zcloop._native.kernel.poll cimport POLLIN
from zcloop._native.kernel.sockets cimport socket_fd
from zcloop._native.pacing.bulk_reading cimport BulkReading
from zcloop._native.loop.client cimport Client
from zcloop._native.loop.handle cimport make_handle
from zcloop._native.loop.pending cimport make_pending
from zcloop._native.loop.socket_holder cimport SocketHolder
from zcloop._native.loop.socket_wait cimport make_socket_wait
from zcloop._native.operation.operation cimport IDLE, NOT_YET, Operation
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.operation.read cimport make_read

# An asyncio timer is due up to one clock tick early; the kernel sleeps no shorter than this.
cdef double TIMEOUT_MAX_S = 24 * 3600.0

cdef enum:
    SPIN_MAX_US = 1000000
    COALESCE_MAX_US = 200

_cores = weakref.WeakSet()
_Socket = _socket.socket


def _after_fork_in_child():
    for core in list(_cores):
        (<Core> core).abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)


cdef void warm_heap() noexcept:
    """Free one large block, once a loop is made: from then on glibc serves blocks of receive size
    from the heap. Before, each one costs an mmap, its page faults, and a munmap."""
    cdef char *block = <char *> malloc(1 << 20)
    if block != NULL:
        zc_touch(block)     # or the compiler drops the pair
        free(block)


cdef int to_fd(object fileobj) except -1:
    """The number behind an fd or an object with fileno(); ValueError as selectors gives it."""
    if isinstance(fileobj, int):
        fd = fileobj
    else:
        try:
            fd = int(fileobj.fileno())
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"Invalid file object: {fileobj!r}") from None
    if fd < 0:
        raise ValueError(f"Invalid file descriptor: {fd}")
    return fd


cdef class Core(Scheduler):
    def __cinit__(self, *args, backend=None, **kwargs):
        self.event_fd = self.signal_fd = -1
        self.watches = {}
        self.socket_watches = []
        self.socket_holders = []
        self.flushing = []
        self.bulk_reading = BulkReading()
        self.raised = set()
        self.unarmed = []
        self.waiting = set()
        warm_heap()
        self.channel = LoopChannel(backend=backend)
        self.make_event()
        _cores.add(self)

    def __dealloc__(self):
        if self.has_event_fd and self.event_fd >= 0:    # 0 where it was never set
            close(self.event_fd)
        free(self.transports)

    # ---- the turn ----------------------------------------------------------------------------

    def _run_once(self):
        """Run turns until the loop is asked to stop (BaseEventLoop.run_forever calls this)."""
        cdef bint is_held
        if self.event_fd < 0 and not self.channel.is_forked:
            self.make_event()
        is_held = hold_collector()
        try:
            self.channel.start()
        finally:
            let_collector_go(is_held)
        self.run_start = monotonic_ns()
        self.bulk_reading.restart()
        self.for_self = {"loop": self}
        try:
            self._read_signals()
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
            # Who has the socket then, by a dup or a fork, expects it as sockets are.
            while self.raised:
                self.raised.pop().lower()
            self.flush()
        finally:
            self.channel.pause()
            # Back from the table, where they would keep a loop alive that nobody closes.
            self.channel.unpark(self.event_poll)
            if self.signal_read is not None:
                self.channel.unpark(self.signal_read)
        return 0

    cdef int turn(self) except -1:
        self.turns += 1
        self.check_usable()
        if not self.is_only_ready():
            self.look()
        PyErr_CheckSignals()
        if self._stopping:
            # stop() came before this turn: poll once, run what came of it, and that is all.
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

    cdef bint is_only_ready(self) noexcept:
        """Whether there are callbacks to run, and nothing to submit, bring in or look after."""
        return (self.ready.count() != 0 and not self.channel.is_pending()
                and not (self.flushing or self.unarmed or self.socket_holders
                         or self.socket_watches))

    cdef int look(self) except -1:
        """Flush and wait, with nothing that runs in the middle."""
        cdef bint is_held = hold_collector()
        try:
            self.flush_and_wait()
        finally:
            self.is_sleeping = False
            let_collector_go(is_held)
        return 0

    cdef int dispatch(self) except -1:
        """Hand completions to their owners, whose native code nothing disturbs."""
        cdef bint is_held
        if not (self.channel.has_undispatched() or self.channel.starved):
            return 0
        is_held = hold_collector()
        try:
            return self.channel.dispatch()
        finally:
            let_collector_go(is_held)

    cdef int flush_and_wait(self) except -1:
        cdef double delay
        cdef int64_t sleep_start
        cdef int64_t timeout_ns = -1
        if self.socket_watches or self.socket_holders:
            self.check_sockets()
        if self.unarmed:
            self.arm_watches()
        if self.flushing:
            self.flush()
        if self.ready.count() == 0:
            self.contexts.forget()
        if self.ready.count() or self._stopping:
            timeout_ns = 0
        elif self.timers.count:
            delay = self.timers.first() - monotonic()
            if delay <= 0:
                timeout_ns = 0
            else:
                timeout_ns = <int64_t> ((delay if delay < TIMEOUT_MAX_S else TIMEOUT_MAX_S) * 1e9)
        if timeout_ns != 0:
            self.listen_outside()
            self.sleeps += 1
            self.is_sleeping = True
            self.channel.spinning.moved(self.received_bytes + self.sent_bytes)
            sleep_start = monotonic_ns() - self.channel.spinning.looked_ns
            self.channel.wait(timeout_ns)
            self.asleep_ns += monotonic_ns() - self.channel.spinning.looked_ns - sleep_start
        elif self.channel.is_pending():
            self.channel.wait(0)
        return 0

    cdef int arm_watches(self) except -1:
        watches = self.unarmed[:]
        self.unarmed.clear()
        while watches:
            try:
                (<Watch> watches.pop(0)).arm()
            except BaseException:
                self.unarmed[:0] = watches      # out of memory: the others go next time
                raise
        return 0

    cdef bint is_idle_until(self, double when) noexcept:
        """Whether a callback that stays until then keeps nobody waiting, as far as is known now."""
        if self.ready.count() or self.flushing or self.unarmed or self._stopping:
            return False
        if self.timers.count and self.timers.first() < when:
            return False
        return not self.channel.is_pending()

    # ---- output collected during a turn ------------------------------------------------------

    cdef int want_flush(self, Client client) except -1:
        if not client.is_flush_wanted:
            client.is_flush_wanted = True
            self.flushing.append(client)
        return 0

    cdef int flush(self) except -1:
        """The turn is over: let every client in the list push what it has written."""
        cdef list empty = []        # to allocate may run code that writes: it is in the list, then
        cdef list clients = self.flushing
        cdef Py_ssize_t count = len(clients)
        cdef Py_ssize_t done = 0
        cdef Client client
        self.flushing = empty
        try:
            while done < count:
                client = <Client> clients[done]
                done += 1
                client.is_flush_wanted = False
                client.flush()
        finally:
            while done < count:     # an exception came through: the others go next time
                client = <Client> clients[done]
                done += 1
                client.is_flush_wanted = False
                self.want_flush(client)
        return 0

    # ---- which fd is whose -------------------------------------------------------------------

    cdef int add_transport(self, int fd, object transport) except -1:
        cdef void *grown
        cdef int size
        if fd < 0:
            raise_os_error(EBADF, "a transport's descriptor")
        if fd >= self.transports_size:
            size = fd * 2 + 64
            grown = realloc(self.transports, size * sizeof(PyObject *))
            if grown == NULL:
                raise MemoryError("transports")
            self.transports = <PyObject **> grown
            memset(self.transports + self.transports_size, 0,
                   (size - self.transports_size) * sizeof(PyObject *))
            self.transports_size = size
        self.transports[fd] = <PyObject *> transport
        return 0

    cdef void remove_transport(self, int fd, object transport) noexcept:
        if 0 <= fd < self.transports_size and self.transports[fd] == <PyObject *> transport:
            self.transports[fd] = NULL

    def transport_of(self, int fd):
        """The native transport that has this fd, or None."""
        if 0 <= fd < self.transports_size and self.transports[fd] != NULL:
            return <object> self.transports[fd]
        return None

    # ---- wake-ups from outside ---------------------------------------------------------------

    cdef int make_event(self) except -1:
        """What another thread wakes the loop by. A forked child must not share its parent's."""
        self.event_fd = eventfd(0, EFD_CLOEXEC)
        if self.event_fd < 0:
            raise_os_error(errno, "eventfd")
        self.has_event_fd = True
        self.event_poll = make_poll(self, self.event_fd, POLLIN)
        self.event_poll.is_multishot = True
        return 0

    cdef int listen_outside(self) except -1:
        if self.event_poll.state == IDLE:
            self.channel.submit(self.event_poll)
        return 0

    cdef int check_usable(self) except -1:
        if self.channel.is_forked:
            self.channel.check_usable()
        return 0

    cdef int wake(self) except -1:
        cdef uint64_t one = 1
        if self.is_sleeping and not self.channel.is_forked:
            self.is_sleeping = False    # the next one need not
            if write(self.event_fd, &one, 8) < 0 and errno != EBADF:
                raise_os_error(errno, "waking the loop")
        return 0

    def _write_to_self(self):
        """Wake the loop if it sleeps. Thread-safe; no system call while it is awake."""
        self.wake()

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        cdef bint before
        if operation is self.signal_read:
            numbers = self.signal_buffer[:result] if result > 0 else b""
            # Always in flight, so that a loop that never sleeps hears of signals, too.
            self.channel.submit(self.signal_read)
            before = let_program_in()
            try:
                self._process_self_data(numbers)
            finally:
                program_left(before)
        return 0

    def _listen_signals(self, int fd):
        """Read signal numbers from this pipe while asleep; -1 stops. The fd stays the caller's."""
        if self.signal_read is not None:
            self.signal_read.owner = None
            self.channel.cancel(self.signal_read)
            self.signal_read = None
        self.signal_fd = fd
        if fd >= 0:
            self.signal_read = make_read(self, fd, self.signal_buffer, sizeof(self.signal_buffer))
            if self.channel.is_started:     # perhaps in another thread
                self.call_soon_threadsafe(self._read_signals)

    def _read_signals(self):
        if self.signal_read is not None and self.signal_read.state == IDLE:
            self.channel.submit(self.signal_read)

    # ---- readers and writers -----------------------------------------------------------------

    cdef int add_watch(self, object fileobj, bint is_reader, Handle handle) except -1:
        cdef int fd = to_fd(fileobj)
        cdef bint is_held = hold_collector()
        try:
            return self.add_watch_of(fd, fileobj, is_reader, handle)
        finally:
            let_collector_go(is_held)

    cdef int add_watch_of(self, int fd, object fileobj, bint is_reader, Handle handle) except -1:
        cdef Watch watch
        cdef int refused
        found = self.watches.get(fd)
        if found is not None and (<Watch> found).socket is not None:
            if socket_fd((<Watch> found).socket) != fd:
                self.forget_watch(<Watch> found)      # the number is somebody else's now
                found = self.watches.get(fd)
        if found is None:
            refused = zc_pollable(fd)
            if refused:
                raise_os_error(refused, f"watching fd {fd}")
            watch = Watch.__new__(Watch)
            watch.channel = self.channel
            watch.ready = self.ready
            watch.unarmed = self.unarmed
            watch.fd = fd
            if isinstance(fileobj, _Socket):
                watch.socket = fileobj
                self.socket_watches.append(watch)
            self.watches[fd] = watch
        else:
            watch = <Watch> found
        return watch.set_handle(is_reader, handle)

    cdef object watch_of(self, object fileobj):
        """The watch of an fd or file object, a socket that was closed meanwhile included."""
        try:
            return self.watches.get(to_fd(fileobj))
        except ValueError:
            for item in self.socket_watches:
                if (<Watch> item).socket is fileobj:
                    return item
            raise

    cdef int forget_watch(self, Watch watch) except -1:
        if watch.socket is not None and watch in self.socket_watches:
            self.socket_watches.remove(watch)
        if self.watches.get(watch.fd) is watch:
            del self.watches[watch.fd]
        watch.drop_handle(True)     # last: the end of a callback may watch the same fd
        watch.drop_handle(False)
        return 0

    cdef int check_sockets(self) except -1:
        """Sockets that the program closed while they were watched: the kernel lets go of them."""
        cdef Watch watch
        cdef SocketHolder holder
        cdef Py_ssize_t index = len(self.socket_watches)
        while index:
            index -= 1
            watch = <Watch> self.socket_watches[index]
            if socket_fd(watch.socket) != watch.fd and (
                    watch.read_poll is not None or watch.write_poll is not None):
                watch.closed_underneath()
                index = min(index, len(self.socket_watches))
        index = len(self.socket_holders)
        while index:
            index -= 1
            holder = <SocketHolder> self.socket_holders[index]
            if holder.is_closed_underneath():
                # The last one takes its place, and was looked at. More may end with it: what this
                # wakes, or the collector, runs in the middle.
                holder.closed_underneath()
                index = min(index, len(self.socket_holders))
        return 0

    cdef bint remove_watch(self, object fileobj, bint is_reader) except -1:
        cdef Watch watch
        cdef bint had
        if self._closed:
            return False
        found = self.watch_of(fileobj)
        if found is None:
            return False
        watch = <Watch> found
        had = watch.drop_handle(is_reader)
        if watch.reader is None and watch.writer is None:
            self.forget_watch(watch)
        return had

    cdef int check_no_transport(self, object fd) except -1:
        if not isinstance(fd, int) or self.transport_of(fd) is not None:
            self._ensure_fd_no_transport(fd)
        return 0

    def add_reader(self, fd, callback, *args):
        """Call `callback(*args)` whenever `fd` (a number, or what has a fileno()) is readable.

        Replaces an earlier one. Not thread-safe. RuntimeError for a transport's fd, PermissionError
        for a file that is always ready, ValueError for what is no descriptor.
        """
        self.check_no_transport(fd)
        self.check_open()
        self.add_watch(fd, True, make_handle(callback, args, self, None, self.contexts))

    def remove_reader(self, fd):
        """Whether there was one. To be called before the fd is closed."""
        self.check_no_transport(fd)
        return self.remove_watch(fd, True)

    def add_writer(self, fd, callback, *args):
        """As add_reader, whenever `fd` is writable."""
        self.check_no_transport(fd)
        self.check_open()
        self.add_watch(fd, False, make_handle(callback, args, self, None, self.contexts))

    def remove_writer(self, fd):
        """Whether there was one. To be called before the fd is closed."""
        self.check_no_transport(fd)
        return self.remove_watch(fd, False)

    def _add_reader(self, fd, callback, *args, context=None):
        self.check_open()
        handle = make_handle(callback, args, self, context, self.contexts)
        self.add_watch(fd, True, handle)
        return handle

    def _remove_reader(self, fd):
        return self.remove_watch(fd, True)

    def _add_writer(self, fd, callback, *args, context=None):
        self.check_open()
        handle = make_handle(callback, args, self, context, self.contexts)
        self.add_watch(fd, False, handle)
        return handle

    def _remove_writer(self, fd):
        return self.remove_watch(fd, False)

    cdef SocketWait wait_for_socket(self, object socket, bint to_write, SocketWait before):
        """Its `future` gets None when the socket is ready, has failed, or was closed. `before` is
        the same caller's last wait for the same, or None."""
        cdef int fd = to_fd(socket)
        cdef bint is_held
        self.check_open()
        if fd < self.transports_size and self.transports[fd] != NULL:
            self._ensure_fd_no_transport(fd)
        is_held = hold_collector()
        try:
            return make_socket_wait(
                self.channel, self.socket_holders, socket, fd, to_write, self.new_future(), before)
        finally:
            let_collector_go(is_held)

    def _wait_for_socket(self, socket, to_write, before=None):
        return self.wait_for_socket(socket, to_write, before)

    # ---- operations that a coroutine waits for -----------------------------------------------

    async def perform(self, Operation operation not None):
        """Submit an operation with the next turn, and wait for its outcome, or -errno.

        Cancelled, it asks the kernel to end it; what it brings then is discarded, and its memory
        is kept until the kernel is done. Not thread-safe. RuntimeError when the loop is closed,
        or for an operation that is in flight.
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

        For who closes what is waited for. Not thread-safe.
        """
        self.channel.cancel(operation)

    # ---- the end -----------------------------------------------------------------------------

    def _close_core(self):
        """End every request, then drop what is ready, timed and watched. Idempotent."""
        self._listen_signals(-1)
        while self.flushing and not self.channel.is_forked and not self.channel.is_closed:
            try:
                self.flush()        # what was written goes out, as if it had been sent at once
            except RuntimeError:
                pass        # a connection that failed wants to tell its protocol: nobody runs it
        self.channel.close()
        self.flushing = []
        self.timers.clear()
        self.ready.clear()
        self.contexts.forget()
        self.unarmed.clear()
        for watch in self.watches.values():
            for handle in ((<Watch> watch).reader, (<Watch> watch).writer):
                if handle is not None:
                    (<Handle> handle).clear()
        self.watches = {}
        self.waiting = set()
        self.socket_watches.clear()
        while self.socket_holders:
            (<SocketHolder> self.socket_holders[0]).leave()
        if self.event_poll is not None:
            self.event_poll.owner = None        # the loop goes with its last reference
        if self.event_fd >= 0:
            close(self.event_fd)
            self.event_fd = -1

    def abandon(self):
        """In a forked child: everything in the kernel is the parent's. What has never run has only
        a ring and an eventfd there, and its first run makes others."""
        self.channel.abandon()
        self.is_sleeping = False
        if self.event_fd >= 0:
            close(self.event_fd)
            self.event_fd = -1

    def native_transports(self):
        """Every native transport that has an fd, as a new list."""
        cdef int fd
        return [<object> self.transports[fd] for fd in range(self.transports_size)
                if self.transports[fd] != NULL]

    @property
    def spin_us(self):
        """Microseconds for which a loop with nothing to do looks for completions before it sleeps.

        None, the default: 40, while that finds them as good as always, in ping-pong with a quick
        peer, and saves CPU by it. 0 is never; 10 to 50 make answers come sooner, for a core that is
        busy so long after each turn. Other threads run meanwhile. An int or None; ValueError below
        0 and above 1,000,000.
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
        """Microseconds for which a flood of datagrams gathers before it wakes the loop; first 50.

        Only where a socket gets 100 datagrams a millisecond and more, has room for twice what comes
        in that time, and sends next to none; a loop with `spin_us` does not sleep so. Whatever else
        completes wakes the loop with the next datagram of the flood; when it halts, what comes next
        is late once, by that time and the thread's timer slack (50). 0 is off; before Linux 6.12 it
        stays 0. An int; ValueError below 0 and above 200.
        """
        return self.channel.coalescing.limit_us

    @coalesce_us.setter
    def coalesce_us(self, microseconds):
        if not 0 <= microseconds <= COALESCE_MAX_US:
            raise ValueError(
                f"coalesce_us is 0 to {COALESCE_MAX_US} microseconds, not {microseconds}")
        self.channel.coalescing.limit_us = microseconds if self.channel.can_coalesce() else 0
        if microseconds == 0:
            self.channel.coalescing.end()

    def statistics(self):
        """Counters since the loop was made, as a new dict; reading them makes no system call."""
        cdef LoopChannel channel = self.channel
        cdef int64_t ran_ns = self.ran_ns
        buffers = channel.buffers
        if self.run_start:
            ran_ns += monotonic_ns() - self.run_start
        return {
            "turns": self.turns,
            "sleeps": self.sleeps,
            "spins": channel.spinning.spins,
            "spun_ns": channel.spinning.looked_ns,
            "coalesced_sleeps": channel.coalescing.sleeps,
            "asleep_ns": self.asleep_ns,
            "awake_ns": ran_ns - self.asleep_ns,
            "enters": channel.ring.enters,
            "submissions": channel.ring.submissions,
            "completions": channel.completed,
            "received_bytes": self.received_bytes,
            "sent_bytes": self.sent_bytes,
            "copied_bytes": self.copied_bytes,
            "inflight": channel.inflight,
            "operations": channel.held,
            "transports": len(self.native_transports()),
            "ready": self.ready.count(),
            "timers": self.timers.count,
            "slots": 0 if buffers is None else buffers.count,
            "slots_lent": 0 if buffers is None else buffers.lent,
        }
