"""A channel that is run, paused, and run again, perhaps by another thread.

`pause` takes every request back from the kernel, so that between two runs nothing is in flight: the
channel may go on in another thread (a ring belongs to one thread), a fork inherits no request, and
close has nothing to wait for. What completed meanwhile stays queued in order.

    started    requests go into the ring; the ring is the running thread's
    pausing    everything in flight is cancelled; what that ends, and nothing else, is parked
    paused     a request is parked at once; one that is cancelled gets its completion from us

A parked request keeps its slot, and `start` submits it again. A starved one found no free slot of
a buffer ring, and is submitted again when slots may have come back.

The ring of a run in another thread cannot be taken over: the kernel refuses to attach it (EEXIST).
A new one then takes its place, and the buffer rings are registered with that.
"""

cimport cython

from libc.errno cimport EEXIST, EINVAL
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memmove

from zcloop._native.channel.buffer_rings cimport RECEIVED, BufferRings, Kind, shape_of
from zcloop._native.channel.channel cimport Channel, is_allowed
from zcloop._native.channel.inflight cimport slot_of
from zcloop._native.channel.resized cimport resized
from zcloop._native.kernel.errors cimport ECANCELED
from zcloop._native.kernel.uring cimport io_uring_sqe
from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.memory.pool cimport Pool
from zcloop._native.memory.region cimport Region
from zcloop._native.operation.operation cimport (
    CANCELLING, IDLE, INFLIGHT, PARKED, STARVED, Operation,
)
from zcloop._native.ring.making cimport make_ring

from zcloop._native.channel.inflight import InvariantError

# Slots by which the list of the parked grows: as many as a new table of requests has.
cdef uint32_t PARKED_STEP = 64


@cython.no_gc_clear     # as Channel
cdef class PausableChannel(Channel):
    def __cinit__(self):
        self.buffer_rings = BufferRings()
        self.starved = []
        self.pins_wanted = []
        self.has_multishot_receive = is_allowed("multishot_receive")
        self.has_multishot_message = is_allowed("multishot_message")

    def __dealloc__(self):
        free(self.parked)

    # ---- run and pause -----------------------------------------------------------------------

    cdef int start(self) except -1:
        """Bind to the calling thread, and submit again what `pause` took back."""
        self.check_usable()
        try:
            self.attach_ring()
            self.has_run = True
            self.register_buffers()
            self.submit_parked()
            self.is_started = True
            if self.starved:
                self.feed()
            while self.pins_wanted:
                self.pins.pin(self.ring, <Region> self.pins_wanted.pop())
        except BaseException:
            self.pause()        # the next start finds all of it as this one did
            raise
        return 0

    cdef int pause(self) except -1:
        """Take back everything in flight."""
        self.is_started = False
        try:
            self.take_back()
        finally:
            self.ring.detach()
        return 0

    cdef int cancel_all(self) except -1:
        self.is_pausing = True
        try:
            return Channel.cancel_all(self)
        finally:
            self.is_pausing = False

    cdef int attach_ring(self) except -1:
        """Make the ring the calling thread's, or replace it by one that is: `pause` saw to it that
        nothing is in flight."""
        if not self.ring.is_open:       # made before a fork, and first started in the child
            self.ring = make_ring(self.ring.backend, self.entries, self.completion_entries, False)
        if self.ring.attach() == -EEXIST:
            self.renew_ring()
        return 0

    cdef int renew_ring(self) except -1:
        if self.table.count:
            raise InvariantError("requests in flight in another thread's ring")
        ring = make_ring(self.ring.backend, self.entries, self.completion_entries, False)
        for buffers in self.buffer_rings.all():
            (<BufferRing> buffers).unregister()
        self.quarantine()
        self.ring.close()
        self.ring = ring
        self.ring.attach()
        self.pins.move_to(ring)
        return 0

    # ---- in ----------------------------------------------------------------------------------

    cdef int submit(self, Operation operation) except -1:
        self.check_usable()
        if self.is_started:
            return self.submit_now(operation)
        # Between two runs the ring may be another thread's: it goes in at the next start.
        self.table.admit(operation)
        self.table.acquire(operation)
        return self.park_slot(operation.slot)

    cdef int cancel(self, Operation operation) except -1:
        if self.is_forked:
            return 0        # the request is the parent's
        if operation.state == PARKED:
            return self.post_cancelled(operation)
        if operation.state == STARVED:
            operation.state = IDLE
            return self.post_cancelled_anew(operation)
        return Channel.cancel(self, operation)

    cdef int pin(self, Region region) except -1:
        if self.has_registered_buffers and not self.is_started:
            self.pins_wanted.append(region)
            return 0
        return Channel.pin(self, region)

    cdef int post_cancelled(self, Operation operation) except -1:
        """End an operation that the kernel does not hold, as if it had cancelled it."""
        operation.state = CANCELLING
        operation.has_left = True
        return self.completions.append(self.table.token_of(operation), -ECANCELED, 0)

    cdef int post_cancelled_anew(self, Operation operation) except -1:
        """The same of an IDLE operation, which has no slot."""
        self.table.admit(operation)
        self.table.acquire(operation)
        self.table.count -= 1
        return self.post_cancelled(operation)

    # ---- parked ------------------------------------------------------------------------------

    cdef bint park(self, uint64_t token) except -1:
        """During a pause: keep the slot of a request that nobody but us has cancelled. Returns
        whether it is parked."""
        cdef Operation operation
        if not self.table.is_held(token):
            return False
        operation = self.table.operation_of(token)
        if operation.state != INFLIGHT or operation.is_notified:
            return False
        self.park_slot(slot_of(token))
        return True

    cdef int park_slot(self, uint32_t slot) except -1:
        """Leave a request in the table for the next `start`."""
        if self.parked_count == self.parked_capacity:
            self.parked_capacity = self.parked_capacity * 2 + PARKED_STEP
            self.parked = <uint32_t *> resized(self.parked,
                                               self.parked_capacity * sizeof(uint32_t))
        self.parked[self.parked_count] = slot
        self.parked_count += 1
        (<Operation> self.table.operations[slot]).state = PARKED
        self.table.count -= 1
        return 0

    cdef int unpark(self, Operation operation) except -1:
        """After `pause`: an operation whose owner submits it again itself."""
        if operation.state == PARKED:
            self.table.release(operation)
        return 0

    cdef int submit_parked(self) except -1:
        cdef uint32_t slot
        cdef uint32_t done = 0
        cdef uint32_t count = self.parked_count
        cdef Operation operation
        try:
            while done < count:
                slot = self.parked[done]
                if self.table.operations[slot] is not None:
                    operation = <Operation> self.table.operations[slot]
                    if operation.state == PARKED:
                        self.submit_again(operation)
                done += 1
        finally:    # what was not reached stays
            self.parked_count -= done
            if self.parked_count:
                memmove(self.parked, self.parked + done, self.parked_count * sizeof(uint32_t))
        return 0

    cdef int submit_again(self, Operation operation) except -1:
        """With the slot and the token that it has."""
        cdef uint64_t token = self.table.token_of(operation)
        cdef io_uring_sqe *sqe
        if operation.owner is not None and not operation.owner.is_fd_ours():
            return self.post_cancelled(operation)   # the owner finds out when it submits it again
        if operation.pool is not None and operation.pool.ring is None:
            # A kernel that knows no such receive answers so, and its owner does without.
            operation.state = INFLIGHT
            return self.completions.append(token, -EINVAL, 0)
        sqe = self.take_sqe()
        operation.prepare(sqe)
        operation.state = INFLIGHT
        sqe.user_data = token
        self.table.count += 1
        return 0

    # ---- starved -----------------------------------------------------------------------------

    cdef int starve(self, Operation operation) except -1:
        """Submit an IDLE receive again once slots have come back: after this dispatch."""
        operation.state = STARVED
        self.starved.append(operation)
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
            return self.post_cancelled_anew(operation)
        try:
            self.submit(operation)
        except BaseException:
            operation.state = STARVED
            raise
        return 0

    # ---- buffers -----------------------------------------------------------------------------

    cpdef Pool lending_pool(self):
        """The memory of everything that is lent without a region of the program's."""
        if self.pool is None:
            self.pool = Pool()
        return self.pool

    cdef BufferRing buffers_of(self, Kind kind):
        """The ring of this kind, made when it is first asked for. None where the kernel has no
        buffer rings or no memory for one, which `has_multishot_*` then says, and None while the
        pool has no room for its slots."""
        if self.buffer_rings.of(kind) is None and (
                self.has_multishot_message if shape_of(kind).is_for_messages
                else self.has_multishot_receive):
            self.make_buffers(kind)
        return self.buffer_rings.of(kind)

    cdef int make_buffers(self, Kind kind) except -1:
        cdef BufferRing made
        self.check_usable()
        try:
            made = self.buffer_rings.make(
                kind, self.lending_pool() if shape_of(kind).is_lending else None)
            if self.is_started:
                made.register_with(self.ring)
        except OSError:
            if not shape_of(kind).is_spare:
                self.refuse_buffers(kind)
        except MemoryError:
            if not shape_of(kind).is_lending:   # the pool at its limit is no fault of the kernel's
                self.refuse_buffers(kind)
        else:
            self.buffer_rings.made[<int> kind] = made
        return 0

    cdef int register_buffers(self) except -1:
        """With the ring of this run. The first refusal decides, as when a ring of buffers is made:
        `submit_parked` then ends its receives."""
        cdef BufferRing buffers
        for each in self.buffer_rings.all():
            buffers = <BufferRing> each
            if buffers.ring is None:
                try:
                    buffers.register_with(self.ring)
                except OSError:
                    self.refuse_buffers(<Kind> buffers.group)
        return 0

    cdef void refuse_buffers(self, Kind kind) noexcept:
        if shape_of(kind).is_for_messages:
            self.has_multishot_message = False
        else:
            self.has_multishot_receive = False

    # ---- the end -----------------------------------------------------------------------------

    cdef int discard_all(self) except -1:
        self.parked_count = 0
        self.starved = []
        return Channel.discard_all(self)

    def close(self):
        Channel.close(self)
        self.buffer_rings = BufferRings()       # their memory goes, but for what is lent

    cdef bint is_used(self) noexcept:
        """A channel that has never run has nothing in the kernel, unless it has buffer rings, nor
        memory that the child did not inherit: its first start in the child makes a ring."""
        return self.has_run or self.buffer_rings.has_any()

    def abandon(self):
        if not self.ring.is_open:
            return
        Channel.abandon(self)
        for buffers in self.buffer_rings.all():
            buffers.abandon()

    # ---- what it counts ----------------------------------------------------------------------

    def statistics(self):
        """Counters of the channel and of its ring, as a new dict without a system call.

        `zcloop.loop._statistics.Statistics` says what each key means.
        """
        cdef BufferRing buffers = self.buffer_rings.of(RECEIVED)
        return {
            "enters": self.ring.enters,
            "submissions": self.ring.submissions,
            "completions": self.completed,
            "inflight": self.inflight,
            "operations": self.held,
            "slots": 0 if buffers is None else buffers.count,
            "slots_lent": 0 if buffers is None else buffers.lent,
            "pinned": self.pinned,
            "notifying": self.notifying,
            "quarantined": self.quarantined,
        }
