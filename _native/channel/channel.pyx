"""The waist of zcloop: what a channel promises, and the in-flight table that all channels share.

Operations go in by `submit`; each gets a token (slot and generation) and ends with exactly one
terminal completion. `wait` brings completions in, `dispatch` hands them to the operations'
owners; user code runs in `dispatch` only, never while the ring is being read.

    state        submit      cancel       completion     last completion   pause       start
    IDLE         INFLIGHT    -            -              -                 -           -
    (between pause and start: IDLE to PARKED)
    INFLIGHT     error       CANCELLING   INFLIGHT       IDLE              PARKED      -
    CANCELLING   error       -            CANCELLING     IDLE              -           -
    PARKED       error       IDLE (*)     -              -                 -           INFLIGHT
    STARVED      error       IDLE (*)     -              -                 -           INFLIGHT
    (*) after a completion of -ECANCELED, posted by the channel itself

`pause` takes every request back from the kernel, so that between two runs nothing is in flight:
the loop may go on in another thread (a ring belongs to one thread), a fork inherits no request,
and close has nothing to wait for. What completed meanwhile stays queued in order.

An exception raised by an owner leaves `dispatch` at once; what was not dispatched stays queued.
"""

import os


from libc.stdlib cimport free, realloc

from zcloop._native.kernel.collector cimport hold_collector, let_collector_go
from zcloop._native.kernel.errors cimport ECANCELED
from zcloop._native.kernel.uring cimport (
    CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE, CQE_F_NOTIF,
)
from zcloop._native.operation.operation cimport (
    CANCELLING, IDLE, INFLIGHT, NOT_YET, PARKED, STARVED, Owner,
)
from zcloop._native.operation.poll cimport UNREADY

# 2^24 requests in flight, 16 bytes each: far above any fd limit.
cdef uint32_t CAPACITY_MAX = 1 << 24
cdef uint32_t NONE = <uint32_t> -1
cdef uint64_t SLOT_MASK = 0xFFFFFFFF

# What `loop.features` tells of, each as `has_` and its name.
FEATURES = ("multishot_receive", "multishot_message", "send_zero_copy", "futex_wait",
            "segmented_send", "push", "minimal_wait", "registered_buffers")
# For finding out whether one of them is to blame, and for tests: those to do without.
_WITHOUT = list(filter(None, map(str.strip, os.environ.get("ZCLOOP_WITHOUT", "").split(","))))


# Memory that the network stack may use for as long as the process lives.
_quarantine = []


class InvariantError(RuntimeError):
    """zcloop found its own books wrong. Nothing was lost, but please report it."""


cdef void *_resized(void *block, size_t size) except NULL:
    cdef void *got = realloc(block, size)
    if got == NULL:
        raise MemoryError("channel")
    return got


cdef class Channel:
    def __cinit__(self, *args, **kwargs):
        for word in _WITHOUT:
            if word not in FEATURES:
                raise ValueError(f"ZCLOOP_WITHOUT={','.join(_WITHOUT)}: {word!r} is no feature; "
                                 f"these are: {', '.join(FEATURES)}")
        self.free_head = NONE
        self.starved = []
        self.operations = []
        self.has_multishot_receive = "multishot_receive" not in _WITHOUT
        self.has_multishot_message = "multishot_message" not in _WITHOUT
        self.has_send_zero_copy = "send_zero_copy" not in _WITHOUT
        self.has_futex_wait = "futex_wait" not in _WITHOUT
        self.has_segmented_send = "segmented_send" not in _WITHOUT
        self.has_push = "push" not in _WITHOUT
        self.has_minimal_wait = "minimal_wait" not in _WITHOUT
        self.has_registered_buffers = "registered_buffers" not in _WITHOUT
        self.grow()
        self.completion_capacity = 256
        self.completions = <Completion *> _resized(NULL, 256 * sizeof(Completion))

    def __dealloc__(self):
        free(self.generations)
        free(self.next_free)
        free(self.completions)
        free(self.parked)

    # ---- what a channel promises -------------------------------------------------------------

    cdef int submit(self, Operation operation) except -1:
        """Hand an IDLE operation in. The kernel sees it at the next `wait`, if not before."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef int cancel(self, Operation operation) except -1:
        """Ask for the end; the terminal completion still comes. No error if it is over already."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef int cancel_now(self, Operation operation) except -1:
        """`cancel`, and the kernel has let go of the file when it returns."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef int wait(self, int64_t timeout_ns) except -1:
        """Submit, and bring in what completed; sleep for at most `timeout_ns` (-1: no limit)."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef int start(self) except -1:
        """Bind to the calling thread and submit again what `pause` took back."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef int pause(self) except -1:
        """Take back everything in flight."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef bint is_pending(self) noexcept:
        """Whether there is something to submit, bring in or dispatch without sleeping."""
        return self.completion_head != self.completion_tail

    cdef bint has_undispatched(self) noexcept:
        """Whether others wait for their completions."""
        return self.completion_head != self.completion_tail

    cdef BufferRing receive_buffers(self):
        """The pool for small pieces of streams, made when first asked for; None where the kernel
        has no buffer rings or no memory for one (has_multishot_receive is False then)."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef BufferRing datagram_buffers(self):
        """The pool whose slots hold the largest datagram; None as above."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef BufferRing segmented_buffers(self):
        """As that, for sockets that fill a slot with many datagrams; None as above."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef BufferRing lending_buffers(self):
        """The pool whose slots can be lent; None as above."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef BufferRing flood_buffers(self):
        """The pool whose large slots can be lent; None as above."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef BufferRing lending_datagram_buffers(self):
        """The pool whose slots hold the largest datagram and can be lent; None as above."""
        raise TypeError("Channel is an interface: use LoopChannel")

    cdef int pin(self, Region region) except -1:
        """Register the region for sending from it, where that is possible."""
        return 0

    cdef int pin_of(self, Region region) noexcept:
        """The registered buffer that the region is, or -1."""
        return -1

    # ---- shared ------------------------------------------------------------------------------

    cpdef Pool lending_pool(self):
        """The memory of everything that is lent without a region of the program's."""
        if self.pool is None:
            self.pool = Pool()
        return self.pool

    cdef int check_usable(self) except -1:
        if self.is_forked:
            raise RuntimeError(
                "this event loop belongs to the parent process: after fork() a child must make "
                "its own (zcloop.new_event_loop()) and may only close() this one")
        if self.is_closed:
            raise RuntimeError("Event loop is closed")
        return 0

    cdef void forget(self, int fd) noexcept:
        """A descriptor that nothing is asked of any more is about to be closed."""

    cdef int adapt(self, Operation wait) except -1:
        """Before each submission of one that `is_word_wait`: a thread waits where the kernel does
        not. OSError where there is no descriptor for it."""
        if wait.is_refused:
            self.has_futex_wait = False
        if not self.has_futex_wait:
            wait.use_thread()
        return 0

    cdef int starve(self, Operation operation) except -1:
        """Submit an IDLE receive again once slots have come back: after this dispatch."""
        operation.state = STARVED
        self.starved.append(operation)
        return 0

    cdef int retire(self, Operation operation) except -1:
        """The operation ended without a completion, as it asked for on success."""
        if operation.state != IDLE:
            operation.state = IDLE
            self.inflight -= 1
            self.release(operation.slot)
        return 0

    cdef int unpark(self, Operation operation) except -1:
        """After `pause`: an operation whose owner submits it again itself."""
        if operation.state == PARKED:
            operation.state = IDLE
            self.release(operation.slot)
        return 0

    cdef uint64_t acquire(self, Operation operation) except 0:
        """A slot for an IDLE operation; returns its token."""
        if operation.state != IDLE:
            raise InvariantError("operation submitted twice")
        self.ensure_slot()
        cdef uint32_t slot = self.free_head
        self.free_head = self.next_free[slot]
        self.operations[slot] = operation
        operation.slot = slot
        operation.state = INFLIGHT
        operation.has_left = False
        self.inflight += 1
        return (<uint64_t> self.generations[slot] << 32) | slot

    cdef void release(self, uint32_t slot) noexcept:
        _held = self.operations[slot]       # let go of last: its end may run code
        self.operations[slot] = None
        self.generations[slot] += 1
        if self.generations[slot] == 0:
            self.generations[slot] = 1
        self.next_free[slot] = self.free_head
        self.free_head = slot

    cdef int ensure_slot(self) except -1:
        """Then `acquire` cannot fail, nor allocate. Nothing runs meanwhile: to submit runs no code,
        so that it is an act for who has checked whether to."""
        cdef bint is_held
        if self.free_head == NONE:
            is_held = hold_collector()
            try:
                self.grow()
            finally:
                let_collector_go(is_held)
        return 0

    cdef int grow(self) except -1:
        cdef uint32_t capacity = self.capacity * 2 if self.capacity else 64
        cdef uint32_t slot
        if capacity > CAPACITY_MAX:
            raise OSError("more than 16 million requests in flight on one channel")
        self.operations.extend([None] * (capacity - self.capacity))
        self.generations = <uint32_t *> _resized(self.generations, capacity * sizeof(uint32_t))
        self.next_free = <uint32_t *> _resized(self.next_free, capacity * sizeof(uint32_t))
        slot = capacity
        while slot > self.capacity:
            slot -= 1
            self.generations[slot] = 1
            self.next_free[slot] = self.free_head
            self.free_head = slot
        self.capacity = capacity
        return 0

    cdef int record(self, uint64_t token, int result, uint32_t flags) except -1:
        """One completion out of the kernel: queue it for `dispatch`."""
        cdef uint32_t slot = <uint32_t> (token & SLOT_MASK)
        cdef Operation operation
        if slot >= self.capacity or not self.is_held(slot, token):
            raise InvariantError(f"completion for token {token:#x}, which is not in flight")
        operation = <Operation> self.operations[slot]
        if not flags & CQE_F_MORE:
            operation.has_left = True
            if flags & CQE_F_NOTIF:
                self.notifying -= 1
            else:
                self.inflight -= 1
        elif operation.is_notified:
            operation.has_left = True
            self.inflight -= 1
            self.notifying += 1
        if flags & CQE_F_BUFFER:
            operation.pool.take(flags >> CQE_BUFFER_SHIFT)
        return self.queue(token, result, flags)

    cdef bint is_held(self, uint32_t slot, uint64_t token) noexcept:
        """Whether the slot still belongs to the operation that the token was made for. A completion
        that was queued before its owner took the operation back (`unpark`) belongs to nobody."""
        return self.generations[slot] == <uint32_t> (token >> 32)

    cdef int queue(self, uint64_t token, int result, uint32_t flags) except -1:
        cdef Completion *completion
        if self.completion_tail == self.completion_capacity:
            self.completion_capacity *= 2
            self.completions = <Completion *> _resized(
                self.completions, self.completion_capacity * sizeof(Completion))
        completion = &self.completions[self.completion_tail]
        completion.token = token
        completion.result = result
        completion.flags = flags
        self.completion_tail += 1
        return 0

    cdef int post_cancelled(self, Operation operation) except -1:
        """End an operation that the kernel does not hold, as if it had cancelled it."""
        operation.state = CANCELLING
        operation.has_left = True
        return self.queue((<uint64_t> self.generations[operation.slot] << 32) | operation.slot,
                          -ECANCELED, 0)

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
        cdef uint32_t slot
        cdef int count = 0
        while self.completion_head != self.completion_tail and not self.is_forked:
            completion = self.completions[self.completion_head]
            self.completion_head += 1
            if self.completion_head == self.completion_tail:
                self.completion_head = self.completion_tail = 0
            slot = <uint32_t> (completion.token & SLOT_MASK)
            if not self.is_held(slot, completion.token):
                continue
            count += 1
            operation = <Operation> self.operations[slot]
            if operation.is_poll and (
                    (<Poll> operation).is_by_edge or completion.result & ~UNREADY == 0):
                if self.waits_on(<Poll> operation, &completion):
                    continue
            if not completion.flags & CQE_F_MORE:
                operation.state = IDLE
                self.release(slot)
            owner = operation.owner     # held: it may let go of the operation, and of itself
            if owner is None:
                operation.discard(completion.result, completion.flags)
                if completion.flags & CQE_F_BUFFER:
                    operation.pool.give(completion.flags >> CQE_BUFFER_SHIFT)
            else:
                owner.completed(operation, completion.result, completion.flags)
        return count

    cdef bint waits_on(self, Poll poll, Completion *completion) except -1:
        """Whether a poll goes on after this, since nothing that was asked for has come: see Poll.
        Else the completion is what its owner is to be told."""
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
            poll.state = IDLE
            self.release(poll.slot)
            self.submit(poll)
            return True
        return False

    cdef int park_slot(self, uint32_t slot) except -1:
        """Leave a request in the table for the next `start`."""
        if self.parked_count == self.parked_capacity:
            self.parked_capacity = self.parked_capacity * 2 + 64
            self.parked = <uint32_t *> _resized(self.parked,
                                                self.parked_capacity * sizeof(uint32_t))
        self.parked[self.parked_count] = slot
        self.parked_count += 1
        (<Operation> self.operations[slot]).state = PARKED
        self.inflight -= 1
        return 0

    cdef int feed(self) except -1:
        """Submit again the receives that found no free slot."""
        cdef Operation operation
        cdef Py_ssize_t done = 0
        cdef list starved = self.starved
        self.starved = []
        try:
            while done < len(starved):
                operation = <Operation> starved[done]
                if operation.state == STARVED:
                    self.submit_starved(operation)
                done += 1
        finally:    # what was not reached still waits
            self.starved[:0] = starved[done:]
        return 0

    cdef int submit_starved(self, Operation operation) except -1:
        operation.state = IDLE
        if operation.owner is None:
            return 0
        if not operation.owner.is_fd_ours():
            self.acquire(operation)
            self.inflight -= 1
            return self.post_cancelled(operation)
        try:
            self.submit(operation)
        except BaseException:
            operation.state = STARVED
            raise
        return 0

    cdef int quarantine(self) except -1:
        """The ring goes, and the notifications that it owes with it: keep their memory for good,
        for the network stack may send from it still."""
        cdef Operation operation
        cdef uint32_t slot
        for slot in range(self.capacity if self.notifying else 0):
            if self.operations[slot] is not None:
                operation = <Operation> self.operations[slot]
                if operation.is_notified and operation.state in (INFLIGHT, CANCELLING):
                    _quarantine.append(operation.memory())
                    self.quarantined += 1
        self.notifying = 0
        return 0

    cdef int discard_all(self) except -1:
        """At close, with nothing in flight: what completed goes back to where it came from."""
        cdef Operation operation
        cdef uint32_t slot
        while self.completion_head != self.completion_tail:
            completion = self.completions[self.completion_head]
            self.completion_head += 1
            slot = <uint32_t> (completion.token & SLOT_MASK)
            if not self.is_held(slot, completion.token):
                continue
            operation = <Operation> self.operations[slot]
            operation.discard(completion.result, completion.flags)
            if completion.flags & CQE_F_BUFFER:
                operation.pool.give(completion.flags >> CQE_BUFFER_SHIFT)
            if not completion.flags & CQE_F_MORE:
                operation.state = IDLE
                self.release(slot)
        self.completion_head = self.completion_tail = 0
        self.parked_count = 0
        self.starved = []
        for slot in range(self.capacity):
            if self.operations[slot] is not None:
                operation = <Operation> self.operations[slot]
                operation.state = IDLE
                if not operation.is_notified:
                    operation.discard(-ECANCELED, 0)
                self.release(slot)
        return 0

    @property
    def held(self):
        """Operations in the table: in flight, parked, or completed and not yet dispatched."""
        cdef uint32_t slot
        cdef int count = 0
        for slot in range(self.capacity):
            if self.operations[slot] is not None:
                count += 1
        return count
