"""The waist of zcloop: requests go into a ring, completions come out, and books are kept.

Operations go in by `submit`. Each gets a token (slot and generation), and ends with exactly one
last completion. This class has what both channels need: SharedChannel is polled by a program, and
reaps completions one at a time; LoopChannel is a loop's, and is paused between two runs.

    state        submit      cancel       completion     last completion   pause       start
    IDLE         INFLIGHT    -            -              -                 -           -
    (between pause and start: IDLE to PARKED)
    INFLIGHT     error       CANCELLING   INFLIGHT       IDLE              PARKED      -
    CANCELLING   error       -            CANCELLING     IDLE              -           -
    PARKED       error       IDLE (*)     -              -                 -           INFLIGHT
    STARVED      error       IDLE (*)     -              -                 -           INFLIGHT
    (*) after a completion of -ECANCELED, posted by the channel itself

PARKED and STARVED are states of a PausableChannel only.

What the kernel must be done with before memory goes is waited for at close: everything in flight is
cancelled and has completed when `close` returns. A notification of a zero-copy send may never come,
since the peer has to acknowledge the bytes; its memory is then kept for as long as the process
lives.
"""

import os

cimport cython

from libc.errno cimport EAGAIN, EBUSY, EEXIST, EINTR
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from posix.unistd cimport close

from zcloop._native.channel.completions cimport Completion, Completions
from zcloop._native.channel.inflight cimport Inflight
from zcloop._native.kernel.errors cimport ECANCELED, raise_os_error
from zcloop._native.kernel.uring cimport (
    ASYNC_CANCEL_ALL, ASYNC_CANCEL_ANY, CQE_F_MORE, OP_ASYNC_CANCEL, OP_FUTEX_WAIT, OP_SUPPORTED,
    REGISTER_PROBE, SQE_CQE_SKIP_SUCCESS, io_uring_probe, io_uring_sqe, kernel_timespec,
)
from zcloop._native.memory.pins cimport Pins
from zcloop._native.memory.region cimport Region
from zcloop._native.operation.operation cimport CANCELLING, INFLIGHT, Operation
from zcloop._native.ring.making cimport make_ring

from zcloop._native.channel.inflight import InvariantError
from zcloop._native.ring.making import wanted_backend

# What `loop.features` tells of, each as `has_` and its name.
FEATURES = ("multishot_receive", "multishot_message", "send_zero_copy", "futex_wait",
            "segmented_send", "push", "minimal_wait", "registered_buffers")
# The features to do without, to find out whether one of them is to blame, and for tests.
_WITHOUT = list(filter(None, map(str.strip, os.environ.get("ZCLOOP_WITHOUT", "").split(","))))

cdef enum:
    PROBED_MAX = 256                    # opcodes are of one byte
    PROBE_WORDS = 2 + PROBED_MAX        # a head of 16 bytes, and 8 bytes for each opcode

# At close the kernel is about to be done with most of what it sends in place: 50 ms are waited for
# it, in waits of 5 ms.
cdef long NOTIFICATION_WAIT_NS = 5000000
cdef int NOTIFICATION_WAITS_MAX = 10

# Memory that the network stack may use for as long as the process lives.
_quarantine = []


cdef bint is_allowed(str feature) except -1:
    """Whether ZCLOOP_WITHOUT does not name it."""
    return feature not in _WITHOUT


@cython.no_gc_clear     # `let_go` needs the ring and the table
cdef class Channel:
    """A channel over a ring of its own: up to `entries` requests go in at once.

    Raises OSError when the kernel gives no ring, ValueError for a backend that is none, and when
    ZCLOOP_WITHOUT names what is no feature. Not thread-safe.
    """

    def __cinit__(self, unsigned entries=256, unsigned completion_entries=2048,
                  bint is_shared=False, backend=None):
        for word in _WITHOUT:
            if word not in FEATURES:
                raise ValueError(f"ZCLOOP_WITHOUT={','.join(_WITHOUT)}: {word!r} is no feature; "
                                 f"these are: {', '.join(FEATURES)}")
        self.table = Inflight()
        self.completions = Completions()
        self.pins = Pins()
        self.entries = entries
        self.completion_entries = completion_entries
        self.backend = wanted_backend(backend)
        self.ring = make_ring(self.backend, entries, completion_entries, is_shared)
        # What only the kernel's own ring does.
        self.has_futex_wait = self.ring.shows_completions and is_allowed("futex_wait")
        self.has_registered_buffers = (self.ring.shows_completions
                                       and is_allowed("registered_buffers"))

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
        """Hand an IDLE operation in. The kernel sees it with the next submission."""
        self.check_usable()
        return self.submit_now(operation)

    cdef int cancel(self, Operation operation) except -1:
        """Ask for the end; the last completion still comes. No error if it is over already."""
        if operation.state == INFLIGHT and not self.is_forked:      # else it is the parent's
            self.check_usable()
            self.prepare_cancel(self.take_sqe(), operation, 0)
            operation.state = CANCELLING
        return 0

    cdef void prepare_cancel(self, io_uring_sqe *sqe, Operation operation, unsigned tries) noexcept:
        sqe.opcode = OP_ASYNC_CANCEL
        sqe.flags = SQE_CQE_SKIP_SUCCESS
        sqe.fd = -1
        sqe.addr = self.table.token_of(operation)
        sqe.user_data = IGNORED

    cdef int adapt(self, Operation wait) except -1:
        """Before each submission of an operation that `is_word_wait`: a thread waits where the
        kernel does not. OSError where there is no descriptor for it."""
        if wait.is_refused:
            self.has_futex_wait = False
        if not self.has_futex_wait:
            wait.use_thread()
        return 0

    cdef bint knows_futex_wait(self) noexcept:
        """Whether the kernel says that its rings wait for futexes."""
        cdef uint64_t[PROBE_WORDS] memory
        cdef io_uring_probe *probe = <io_uring_probe *> memory
        memset(memory, 0, sizeof(memory))
        if self.ring.register_(REGISTER_PROBE, probe, PROBED_MAX) < 0:
            return False
        return (probe.last_op >= OP_FUTEX_WAIT
                and probe.ops[<int> OP_FUTEX_WAIT].flags & OP_SUPPORTED != 0)

    cdef int check_usable(self) except -1:
        if self.is_forked:
            raise RuntimeError(
                "this event loop belongs to the parent process: after fork() a child must make "
                "its own (zcloop.new_event_loop()) and may only close() this one")
        if self.is_closed:
            raise RuntimeError("Event loop is closed")
        return 0

    # ---- out ---------------------------------------------------------------------------------

    cdef int reap(self) except -1:
        """Read every visible completion off the ring. No code of the program runs meanwhile."""
        raise NotImplementedError("each kind of channel reaps in its own way")

    # ---- pins --------------------------------------------------------------------------------

    @property
    def pinned(self):
        """Bytes registered with the ring, which RLIMIT_MEMLOCK counts."""
        return self.pins.size

    cdef int pin(self, Region region) except -1:
        """Register the region, to send from it without looking its pages up, where that is
        possible."""
        return self.pins.pin(self.ring, region) if self.has_registered_buffers else 0

    cdef int pin_of(self, Region region) noexcept:
        """The number of the registered buffer that the region is, or -1."""
        return self.pins.index_of(region)

    # ---- the end -----------------------------------------------------------------------------

    cdef int take_back(self) except -1:
        """Let everything in flight end."""
        if self.ring.unsubmitted():
            self.make_room()
            self.reap()
        return self.cancel_all()

    cdef int cancel_all(self) except -1:
        """Cancel and reap until the books say that nothing is in flight: each enter runs a bounded
        share of the work."""
        cdef io_uring_sqe *sqe
        cdef int got
        while self.table.count:
            sqe = self.ring.take_sqe()
            if sqe != NULL:
                sqe.opcode = OP_ASYNC_CANCEL
                sqe.fd = -1
                sqe.cancel_flags = ASYNC_CANCEL_ALL | ASYNC_CANCEL_ANY
                sqe.user_data = IGNORED
            # The cancel's own completion ends the wait.
            got = self.ring.enter(1, NULL)
            if got < 0 and got != -EINTR and got != -EBUSY and got != -EAGAIN:
                raise_os_error(-got, "io_uring_enter while taking requests back")
            self.reap()
        return 0

    cdef int await_notifications(self) except -1:
        """For a moment: the kernel is about to be done with most of what was sent in place."""
        cdef kernel_timespec timeout
        cdef int tries = 0
        timeout.tv_sec = 0
        timeout.tv_nsec = NOTIFICATION_WAIT_NS
        while self.table.notifying and tries < NOTIFICATION_WAITS_MAX:
            tries += 1
            self.ring.enter(1, &timeout)
            self.reap()
        return 0

    cdef int quarantine(self) except -1:
        """The ring goes, and with it the notifications that it owes: keep their memory for good,
        since the network stack may still send from it."""
        cdef Operation operation
        cdef uint32_t slot
        for slot in range(self.table.capacity if self.table.notifying else 0):
            if self.table.operations[slot] is not None:
                operation = <Operation> self.table.operations[slot]
                if operation.is_notified and operation.state in (INFLIGHT, CANCELLING):
                    _quarantine.append(operation.memory())
                    self.quarantined += 1
        self.table.notifying = 0
        return 0

    cdef int discard_completed(self) except -1:
        """What has completed gives back what it brought. The channel counts as closed already,
        since this may let go of the GIL: a `BlockingCall` waits for its thread."""
        cdef Completion completion
        cdef Operation operation
        while not self.completions.is_empty():
            completion = self.completions.pop()
            if self.table.is_held(completion.token):
                operation = self.table.operation_of(completion.token)
                if not completion.flags & CQE_F_MORE:
                    self.table.release(operation)
                discard_completion(operation, completion.result, completion.flags)
        return 0

    cdef int discard_all(self) except -1:
        """At close, with nothing in flight: what has completed gives back what it brought, and
        every operation that is left what it has."""
        cdef Operation operation
        cdef uint32_t slot
        self.discard_completed()
        for slot in range(self.table.capacity):
            if self.table.operations[slot] is not None:
                operation = <Operation> self.table.operations[slot]
                self.table.release(operation)
                if not operation.is_notified:
                    operation.discard(-ECANCELED, 0)
        return 0

    cdef void let_go(self) noexcept:
        """The channel goes, and was perhaps never closed: the kernel must be done with the memory
        of its requests. The __dealloc__ of each kind of channel calls it, since what that kind
        needs to reap is gone when a base's __dealloc__ runs."""
        if self.table is None or self.ring is None:
            return      # it was never made
        try:
            if self.table.count and not self.is_closed and not self.is_forked:
                self.take_back()
        except Exception:
            pass
        try:
            self.quarantine()
        except MemoryError:
            pass
        if self.is_forked:
            return
        self.is_closed = True
        self.discard_completed()
        self.ring.close()       # before the memory of what could not be taken back goes

    def close(self):
        """End every request, then the ring. Idempotent; in a forked child it only lets go."""
        if self.is_closed:
            return
        if self.ring.is_open:
            if self.ring.attach() != -EEXIST:
                self.take_back()
                self.await_notifications()
                self.ring.detach()
            elif self.table.count:
                raise InvariantError("requests in flight in another thread's ring")
        self.is_closed = True
        self.quarantine()
        self.discard_all()
        self.ring.close()

    cdef bint is_used(self) noexcept:
        """Whether the kernel has something of this channel that a forked child did not inherit."""
        return True

    def abandon(self):
        """In a forked child: the ring is the parent's. Closes our copy of its fd, no more."""
        if not self.ring.is_open:       # a close that is under way has closed all but the ring
            return
        self.is_forked = self.is_used()
        close(self.ring.uring.ring_fd)
        self.ring.abandon()
        self.pins.abandon()

    # ---- books -------------------------------------------------------------------------------

    @property
    def inflight(self):
        """Operations that are with the kernel now: a last completion will come."""
        return self.table.count

    @property
    def notifying(self):
        """Operations that are over, but the kernel still has memory of theirs."""
        return self.table.notifying

    @property
    def held(self):
        """Operations in the table: in flight, parked, or completed and not yet dispatched."""
        return self.table.held()
