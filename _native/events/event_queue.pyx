"""The native half of an event channel: requests go in, events are taken out one at a time.

An event is a completion that the kernel holds until it is taken, so that the fd tells the truth
and taking one costs no system call. The bound is the number of entries; the kernel keeps what
completes beyond it, and it is counted when there is room again: then an event of type "overflow"
says how many there were. With "keep" they follow; with "drop" they are gone, their requests kept
for `take_dropped`.

Asking and taking belong to one thread, the owner; everything happens under the GIL, which only a
sleep lets go of. Another thread's `post` is a request that completes at once.
"""

import os
import threading
import time
import weakref

from cpython.exc cimport PyErr_CheckSignals

from zcloop._native.kernel.cpython cimport PyObject_AsFileDescriptor, PyThread_get_thread_ident
from zcloop._native.events.event cimport make_event
from zcloop._native.events.event_request cimport make_event_request
from zcloop._native.memory.region cimport Region
from zcloop._native.operation.operation cimport HEAL_MS, IDLE, NOT_YET
from zcloop._native.operation.poll cimport Poll
from zcloop._native.operation.request cimport Request, make_cancel

from zcloop._native.operation.request import nop, timeout as _timeout

# The most entries that a ring of the kernel has for submissions.
cdef int ENTRIES_MAX = 32768
# 30 years: what is longer is cut.
cdef double TIMEOUT_MAX = 1e9
# The token of no request: generations start at 1.
cdef uint64_t NOBODY = 1
_queues = weakref.WeakSet()


def descriptor_of(source):
    """The fd of a file, a socket, or of a number that is one. TypeError and ValueError for what
    has none, a closed file among them."""
    return PyObject_AsFileDescriptor(source)


cdef class EventQueue:
    def __cinit__(self, entries=256, *, overflow="keep", backend=None):
        if not 1 <= entries <= ENTRIES_MAX:
            raise ValueError(f"an event channel of {entries} entries: 1 to {ENTRIES_MAX} are "
                             "possible")
        if overflow not in ("keep", "drop"):
            raise ValueError(f"overflow={overflow!r}: 'keep' what is beyond the bound, or 'drop' "
                             "it")
        self.channel = SharedChannel(entries, entries, True, backend)
        self.owner = PyThread_get_thread_ident()
        self.gate = threading.Lock()
        self.is_dropping = overflow == "drop"
        self.dropped_requests = []
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
        on, also when the thread that made them ends, but for linked ones, which end with it
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

        Returns them as a list. "parallel" ones run in any order; "linked" ones one after another,
        and when one fails or is cut short, those behind it end with ECANCELED. With `wait` it
        returns when all have completed, or when the channel is full; their events are then there
        to be taken. Raises TypeError for what is no request, RuntimeError for one that was
        submitted before, ValueError for an unknown mode, a link of more requests than the channel
        has entries or of one that cannot be linked; OSError when the kernel takes no more, which
        leaves those that it did not take as they were.
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
        """Submit one request, and return it."""
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
                self.watch_over(request.operation)
            self.channel.submit_all([(<EventRequest> each).operation for each in requests],
                                    is_linked)
        except BaseException:
            for request in begun:
                if request.operation.state == IDLE:
                    request.retract()
            raise
        return 0

    cdef int pin_memory(self, EventRequest request) except -1:
        """Region memory is registered with the kernel when it is first read into or written."""
        cdef Region region
        if isinstance(request.operation, Request):
            region = (<Request> request.operation).region()
            if region is not None:
                self.channel.pin(region)
                (<Request> request.operation).use_pin(self.channel.pin_of(region))
        return 0

    cdef int adapt(self, Operation operation) except -1:
        """The kernel is asked once whether it waits for futexes: by its refusal of a request,
        submit(wait=True) would return."""
        if operation.is_word_wait:
            if self.channel.has_futex_wait and not self.is_kernel_asked:
                self.is_kernel_asked = True
                self.channel.has_futex_wait = self.channel.knows_futex_wait()
            self.channel.adapt(operation)
        return 0

    cdef int watch_over(self, Operation operation) except -1:
        """If a process may die holding what it waits for: look, and again every HEAL_MS."""
        cdef EventRequest healer
        if operation.heal_words():
            if self.healer is None:
                healer = make_event_request("heal", None, _timeout(HEAL_MS / 1e3), None)
                self.submit_requests([healer], False)
                self.healer = healer
        return 0

    cdef int heal(self) except -1:
        """The healer's time is over; there is another one while something is to be watched."""
        self.healer.forget()
        self.healer = None
        for operation in list(self.channel.table.operations):
            if operation is not None:
                self.watch_over(operation)
        return 0

    cdef int await_requests(self, list requests) except -1:
        cdef list operations = [(<EventRequest> each).operation for each in requests]
        cdef int64_t limit
        while (not self.channel.are_complete(operations) and not self.channel.is_overfull()
               and self.channel.ring.visible() < self.channel.ring.cq_entries):
            limit = -1 if self.healer is None else HEAL_MS * 1_000_000
            self.sleep(self.channel.ring.visible() + 1, limit)
            if (self.healer is not None and self.channel.ring.visible() == 1
                    and self.channel.are_complete([self.healer.operation])):
                self.channel.reap_one()     # or it would fill a channel of one entry
                self.heal()
            for operation in operations:
                self.watch_over(operation)
        return 0

    def cancel(self, EventRequest request not None, *, data=None):
        """Ask the kernel to end a request: its event then has ECANCELED, or what came first.

        The cancelling has an event of its own, of type "cancel": result 0, or ENOENT when there
        was nothing to end any more, or EALREADY when it cannot be ended, as a disk's work.
        """
        cdef uint64_t token = NOBODY
        self.check()
        if request.is_pending and self.channel.holds(request.operation):
            token = self.channel.table.token_of(request.operation)
            request.is_cancelled = True
        return self.ask(make_event_request("cancel", request, make_cancel(token), data))

    def post(self, data=None):
        """Put an event of type "post" with this data among the others; wakes who waits.

        Thread-safe, and the only request that other threads than the owner may make. Raises
        ValueError when the channel is closed, RuntimeError in a forked child.
        """
        self.check_open()
        self.submit_requests([make_event_request("post", None, nop(), data)],
                             False)

    # ---- out -----------------------------------------------------------------------------------

    def fileno(self):
        """The fd for select, poll, epoll and loops: readable while an event can be taken
        (ec_to_fd). Thread-safe. Only to be polled; it is the channel's to close.

        It may be readable without one: take events until there are none, and poll again. So it is
        when another took what a request waits for, and once a second while one waits for a robust
        mutex or lock, whose holder may have died; that is when next_event() looks for it.
        """
        self.check_open()
        return self.channel.ring.fileno()

    def next_event(self):
        """The event that came first, or None when there is none (ec_next_event).

        Makes no system call when one is there, and never waits.
        """
        self.check()
        return self.take_event()

    def wait(self, timeout=None):
        """The next event, waited for up to `timeout` seconds (None: for ever); None after that.

        Other threads run meanwhile, and signal handlers.
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

        What they brought is lost: accepted and opened fds are closed, but bytes that were
        received into a buffer are there, uncounted.
        """
        self.check()
        dropped, self.dropped_requests = self.dropped_requests, []
        return dropped

    cdef Event take_event(self):
        cdef Operation operation
        cdef Event event
        while True:
            operation = self.channel.reap_one()
            if operation is not None:
                event = self.event_of(operation, self.channel.result)
            elif self.channel.is_overfull():
                event = self.surface()
            else:
                return None
            if event is not None:
                return event

    cdef Event event_of(self, Operation operation, int result):
        """None when the operation waits again, or was the channel's own."""
        cdef EventRequest request = <EventRequest> operation.owner
        cdef int settled
        if request is self.healer:
            self.heal()
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

    cdef Event surface(self):
        """The bound's room is free: let what was beyond it in, or drop it. The "overflow" event
        once there is no more of it."""
        self.beyond += self.channel.surface(None if self.healer is None
                                            else self.healer.operation)
        if self.is_dropping:
            self.drop_visible()
        if self.channel.is_overfull():
            return None
        beyond, self.beyond = self.beyond, 0
        return make_event("overflow", self, beyond, 0, None)

    cdef int drop_visible(self) except -1:
        cdef Operation operation = self.channel.reap_one()
        cdef EventRequest request
        while operation is not None:
            request = <EventRequest> operation.owner
            if request is self.healer:
                self.heal()
            else:
                operation.discard(self.channel.result, 0)
                request.forget()
                self.dropped += 1
                self.dropped_requests.append(request)
            operation = self.channel.reap_one()
        return 0

    cdef int sleep(self, unsigned count, int64_t timeout_ns) except -1:
        """In the kernel until so many events are there; it may end early. Raises what a signal's
        handler raises, and when the channel is this thread's no more."""
        with self.gate:
            self.channel.sleep(count, timeout_ns)
        PyErr_CheckSignals()
        return self.check()

    # ---- the end -------------------------------------------------------------------------------

    def close(self):
        """End every request, and free the fd (ec_destroy). Idempotent.

        Returns when the kernel is done with the memory of every request; their events are lost,
        and what they brought is given back. Only the owner may, or a forked child, which just
        lets go.
        """
        if not self.channel.is_closed:
            if not self.channel.is_forked:
                self.check()
            self.end()

    def end(self):
        """close(), whoever's thread it is."""
        requests = [(<Operation> each).owner for each in self.channel.table.operations
                    if each is not None]
        self.channel.close()
        self.healer = None
        for request in requests:
            if (<EventRequest> request).is_pending:
                (<EventRequest> request).forget()

    @property
    def is_closed(self):
        return self.channel is None or self.channel.is_closed   # it may never have been made

    @property
    def is_forked(self):
        return self.channel.is_forked

    @property
    def backend(self):
        """What carries out its requests: "uring", the kernel's, or "epoll", a thread of its own."""
        return self.channel.ring.backend

    @property
    def entries(self):
        """How many events it holds; more are beyond its bound. What was asked for, rounded up to
        a power of two."""
        return self.channel.ring.cq_entries

    @property
    def inflight(self):
        """How many requests have an event that has not been taken."""
        return self.channel.inflight - (self.healer is not None)

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
