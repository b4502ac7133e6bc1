"""The native half of an event channel: requests go in, events are taken out one at a time.

An event is a completion that the kernel holds until the program takes it, so that the fd tells the
truth, and taking an event costs no system call. The bound is the number of entries. `Overflow` has
what becomes of events beyond it; `Healing` looks for processes that died holding a lock.

Requests are submitted, and events are taken, by one thread, the owner. Everything happens under the
GIL, which only a sleep lets go of. Another thread's `post` is a request that completes at once.
"""

import os
import threading
import time
import weakref

from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport uint64_t

from zcloop._native.kernel.cpython cimport PyObject_AsFileDescriptor, PyThread_get_thread_ident
from zcloop._native.events.event_request cimport make_event_request
from zcloop._native.events.healing cimport make_healing
from zcloop._native.events.overflow cimport make_overflow
from zcloop._native.memory.region cimport Region
from zcloop._native.operation.operation cimport HEAL_MS, IDLE, NOT_YET
from zcloop._native.operation.poll cimport Poll
from zcloop._native.operation.request cimport Request, make_cancel

from zcloop._native.operation.request import nop

# The most entries that the kernel gives a ring for submissions: IORING_MAX_ENTRIES.
cdef int ENTRIES_MAX = 32768
# Seconds: a longer timeout is cut to these 30 years, which fit into nanoseconds of 64 bits.
cdef double TIMEOUT_MAX = 1e9
# The token of no request: it has slot 1 and generation 0, and generations start at 1.
cdef uint64_t NOBODY = 1
_queues = weakref.WeakSet()


def descriptor_of(source):
    """The fd of a file or a socket, or the number itself. TypeError for what has no descriptor,
    ValueError for a closed file and for a negative number."""
    return PyObject_AsFileDescriptor(source)


cdef class EventQueue:
    def __cinit__(self, entries=256, *, overflow="keep", backend=None):
        if not 1 <= entries <= ENTRIES_MAX:
            raise ValueError(f"an event channel of {entries} entries: 1 to {ENTRIES_MAX} are "
                             "possible")
        if overflow not in ("keep", "drop"):
            raise ValueError(f"overflow={overflow!r}: 'keep' what is beyond the bound, or 'drop' "
                             "it")
        cdef SharedChannel channel = SharedChannel(entries, entries, True, backend)
        self.healing = make_healing(channel)
        self.overflow = make_overflow(channel, self.healing, overflow == "drop")
        self.gate = threading.Lock()
        self.channel = channel      # now there is something to close: see `is_closed`
        self.owner = PyThread_get_thread_ident()
        _queues.add(self)

    def __reduce__(self):
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")

    # ---- whose it is ---------------------------------------------------------------------------

    cdef int check_open(self) except -1:
        if self.channel.is_forked:
            raise RuntimeError("this event channel belongs to the parent process: after fork() a "
                               "child must make its own and may only close() this one")
        if self.channel.is_closed:
            raise ValueError("the event channel is closed")
        return 0

    cdef int check(self) except -1:
        self.check_open()
        if PyThread_get_thread_ident() != self.owner:
            raise RuntimeError("this event channel belongs to another thread: others may only "
                               "post() to it, unless they take_over() it")
        return 0

    def take_over(self):
        """Make the calling thread the owner, the one that may ask and take events.

        A thread that sleeps in wait() or submit() is woken, and gets a RuntimeError. Requests go
        on, also when the thread that made them ends, except linked ones, which end with it
        (ECANCELED). Thread-safe.
        """
        self.check_open()
        if self.owner != PyThread_get_thread_ident():
            self.owner = PyThread_get_thread_ident()
            self.reign += 1
            if self.gate.locked():
                self.channel.wake()
                with self.gate:
                    pass        # it has left the kernel

    # ---- in ------------------------------------------------------------------------------------

    def submit(self, batch, *, mode="parallel", wait=False):
        """Submit many requests, made by zcloop.requests, with one system call (lio_listio).

        Returns them as a list. "parallel" requests run in any order. "linked" ones run one after
        another, and when one fails or is cut short, those behind it end with ECANCELED. With `wait`
        it returns when all have completed, or when the channel is full; their events are then there
        to be taken.

        Raises TypeError for what is no request, RuntimeError for one that was submitted before,
        ValueError for an unknown mode, a link of more requests than the channel has entries or of
        one that cannot be linked. OSError when the kernel takes no more: those that it did not take
        can be submitted again.
        """
        self.check()
        requests = list(batch)
        if mode not in ("parallel", "linked"):
            raise ValueError(f"mode={mode!r}: 'parallel' or 'linked'")
        for request in requests:
            if not isinstance(request, EventRequest):
                raise TypeError(f"{request!r} is no request: zcloop.requests makes them")
            if mode == "linked" and not (isinstance((<EventRequest> request).operation, Request)
                                         or type((<EventRequest> request).operation) is Poll):
                raise ValueError(f"{request!r} cannot be linked: what it waits for may have to be "
                                 "tried again")
        self.submit_requests(requests, mode == "linked")
        if wait:
            self.await_requests(requests)
        return requests

    def ask(self, EventRequest request not None):
        """Submit one request, made by zcloop.requests, and return it. Errors as of `submit`."""
        self.check()
        self.submit_requests([request], False)
        return request

    cdef int submit_requests(self, list requests, bint is_linked) except -1:
        cdef EventRequest request
        cdef list begun = []
        try:
            for request in requests:
                request.begin(self.reign, is_linked)
                begun.append(request)
                self.pin_memory(request)
                self.adapt(request.operation)
                self.healing.watch(request.operation)
            self.channel.submit_all([(<EventRequest> each).operation for each in requests],
                                    is_linked)
        except BaseException:
            for request in begun:
                if request.operation.state == IDLE:
                    request.retract()
            raise
        return 0

    cdef int pin_memory(self, EventRequest request) except -1:
        """Register a region with the kernel when its memory is first read into or written."""
        cdef Region region
        if isinstance(request.operation, Request):
            region = (<Request> request.operation).region()
            if region is not None:
                self.channel.pin(region)
                (<Request> request.operation).use_pin(self.channel.pin_of(region))
        return 0

    cdef int adapt(self, Operation operation) except -1:
        """Say whether the ring or a thread waits. The kernel is asked once whether it waits for
        futexes: if it refused a request instead, submit(wait=True) would return."""
        if operation.is_word_wait:
            if self.channel.has_futex_wait and not self.is_kernel_asked:
                self.is_kernel_asked = True
                self.channel.has_futex_wait = self.channel.knows_futex_wait()
            self.channel.adapt(operation)
        return 0

    cdef int await_requests(self, list requests) except -1:
        cdef list operations = [(<EventRequest> each).operation for each in requests]
        cdef int64_t limit
        while (not self.channel.are_complete(operations) and not self.channel.is_overfull()
               and self.channel.ring.visible() < self.channel.ring.cq_entries):
            limit = -1 if self.healing.timer is None else HEAL_MS * 1_000_000
            self.sleep(self.channel.ring.visible() + 1, limit)
            if self.healing.is_alone():
                self.channel.reap_one()     # else it would fill a channel of one entry
                self.healing.expired()
            for operation in operations:
                self.healing.watch(<Operation> operation)
        return 0

    def cancel(self, EventRequest request not None, *, data=None):
        """Ask the kernel to end a request. Its event then has ECANCELED, or what came first.

        The cancelling has an event of its own, of type "cancel": result 0, or errno ENOENT when
        there was nothing to end any more, EALREADY when it cannot be ended, as a disk's work.
        """
        cdef uint64_t token = NOBODY
        self.check()
        if request.is_pending and self.channel.holds(request.operation):
            token = self.channel.table.token_of(request.operation)
            request.is_cancelled = True
        return self.ask(make_event_request("cancel", request, make_cancel(token), data))

    def post(self, data=None):
        """Put an event of type "post" with this data among the others; wakes a thread that waits.

        Thread-safe: the only request that threads other than the owner may make. Raises ValueError
        when the channel is closed, RuntimeError in a forked child.
        """
        self.check_open()
        self.submit_requests([make_event_request("post", None, nop(), data)], False)

    # ---- out -----------------------------------------------------------------------------------

    def fileno(self):
        """The fd for select, poll, epoll and loops: readable while an event can be taken
        (ec_to_fd). Thread-safe. Only poll it; the channel closes it.

        It may be readable without an event: take events until there are none, and poll again. That
        happens when another has got what a request waits for. It also happens once a second while a
        request waits for a mutex or lock in shared memory: then next_event() looks whether the
        holder's process has died.
        """
        self.check_open()
        return self.channel.ring.fileno()

    def next_event(self):
        """Take the event that came first; None when there is none (ec_next_event).

        It makes no system call when an event is there, and never waits.
        """
        self.check()
        return self.take_event()

    def wait(self, timeout=None):
        """Take the next event, and wait for it up to `timeout` seconds (None: for ever).

        None when there was no event in that time. Other threads run meanwhile, and signal handlers.
        ValueError for a negative timeout.
        """
        self.check()
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"a timeout of {timeout!r} seconds: it must not be negative")
        cdef double limit = TIMEOUT_MAX if timeout is None else min(timeout, TIMEOUT_MAX)
        cdef double deadline = time.monotonic() + limit
        while True:
            event = self.take_event()
            if event is not None:
                return event
            limit = deadline - time.monotonic()
            if limit <= 0:
                return None
            self.sleep(1, <int64_t> (limit * 1e9))

    def take_dropped(self):
        """The requests whose events were dropped since this was last called, oldest first.

        What they brought is lost: accepted and opened fds are closed. Bytes that were received into
        a buffer are there, but nothing says how many.
        """
        self.check()
        dropped, self.overflow.requests = self.overflow.requests, []
        return dropped

    cdef Event take_event(self):
        cdef Operation operation
        cdef Event event
        while True:
            operation = self.channel.reap_one()
            if operation is not None:
                event = self.event_of(operation, self.channel.result)
            elif self.channel.is_overfull():
                event = self.overflow.surface(self)
            else:
                return None
            if event is not None:
                return event

    cdef Event event_of(self, Operation operation, int result):
        """None when the operation waits again, or when it was the channel's own."""
        cdef EventRequest request = <EventRequest> operation.owner
        cdef int settled
        if request is self.healing.timer:
            self.healing.expired()
            return None
        settled = request.settle(result, self.reign)
        if settled == NOT_YET:
            try:
                self.adapt(operation)
                self.channel.submit_all([operation], False)
                return None
            except OSError as error:
                operation.discard(result, 0)
                settled = -error.errno
        return request.finish(settled)

    cdef int sleep(self, unsigned count, int64_t timeout_ns) except -1:
        """Sleep in the kernel until so many events are there; it may end early. Raises what a
        signal's handler raises, and RuntimeError when the channel is no longer this thread's."""
        with self.gate:
            self.channel.sleep(count, timeout_ns)
        PyErr_CheckSignals()
        return self.check()

    # ---- the end -------------------------------------------------------------------------------

    def close(self):
        """End every request, and free the fd (ec_destroy). Idempotent.

        It returns when the kernel is done with the memory of every request. Their events are lost,
        and fds that they brought are closed. Only the owner may close it, or a forked child, which
        just lets go of its copy.
        """
        if not self.channel.is_closed:
            if not self.channel.is_forked:
                self.check()
            self.end()

    def end(self):
        """close(), in any thread."""
        requests = [(<Operation> each).owner for each in self.channel.table.operations
                    if each is not None]
        self.channel.close()
        self.healing.timer = None
        for request in requests:
            if (<EventRequest> request).is_pending:
                (<EventRequest> request).forget()

    @property
    def is_closed(self):
        """Whether `close` was called."""
        return self.channel is None or self.channel.is_closed   # it may never have been made

    @property
    def is_forked(self):
        """Whether this is a forked child's copy of its parent's channel."""
        return self.channel.is_forked

    @property
    def backend(self):
        """What carries out its requests: "uring" (the kernel's io_uring) or "epoll" (a thread of
        the channel's own)."""
        return self.channel.ring.backend

    @property
    def entries(self):
        """How many events it holds; more are beyond its bound. It is the number that was asked
        for, rounded up to a power of two."""
        return self.channel.ring.cq_entries

    @property
    def inflight(self):
        """How many requests have an event that has not been taken."""
        return self.channel.inflight - (self.healing.timer is not None)

    @property
    def dropped(self):
        """How many events were dropped, in all."""
        return self.overflow.dropped

    def statistics(self):
        """Counts, as a dict: entries, inflight, completed, dropped, system_calls, pinned (bytes
        of regions that are registered with the kernel)."""
        return {"entries": self.entries, "inflight": self.inflight,
                "completed": self.channel.completed, "dropped": self.dropped,
                "system_calls": self.channel.ring.enters, "pinned": self.channel.pinned}


def _after_fork_in_child():
    for queue in list(_queues):
        (<EventQueue> queue).channel.abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)
