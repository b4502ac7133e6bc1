"""The table of requests that a channel keeps: slots, and who has them.

A request is known to the kernel by its token, which is a slot and the slot's generation, never a
pointer. Generations begin at 1 and are counted up at each release, so a late completion fails a
comparison and does not touch freed memory. An operation has a slot from `acquire` until its owner
has been told of its last completion.
"""

cimport cython

from libc.stdlib cimport free

from zcloop._native.channel.resized cimport resized
from zcloop._native.kernel.collector cimport hold_collector, let_collector_go
from zcloop._native.kernel.uring cimport CQE_BUFFER_SHIFT, CQE_F_BUFFER, CQE_F_MORE, CQE_F_NOTIF

# Slots: far above any limit of descriptors. They take 16 bytes each, with the list.
cdef uint32_t CAPACITY_MAX = 1 << 24
# Slots of a new channel; each time they do not suffice there are twice as many.
cdef uint32_t CAPACITY_MIN = 64


class InvariantError(RuntimeError):
    """zcloop found its own books wrong. Nothing was lost, but please report it."""


cdef int refuse_submission() except -1:
    raise InvariantError("operation submitted twice")


@cython.final
@cython.no_gc_clear     # a channel that ends needs it
cdef class Inflight:
    def __cinit__(self):
        self.free_slot = NO_SLOT
        self.operations = []
        self.grow()

    def __dealloc__(self):
        free(self.generations)
        free(self.next_free)

    cdef int add_slots(self) except -1:
        """Without a collection of garbage, which would run code."""
        cdef bint is_held = hold_collector()
        try:
            return self.grow()
        finally:
            let_collector_go(is_held)

    cdef int ensure_slots(self, Py_ssize_t count) except -1:
        """See to it that so many more operations can be acquired."""
        while self.capacity - self.count < count:
            self.grow()
        return 0

    cdef int grow(self) except -1:
        cdef uint32_t capacity = self.capacity * 2 if self.capacity else CAPACITY_MIN
        cdef uint32_t slot
        if capacity > CAPACITY_MAX:
            raise OSError("more than 16 million requests in flight on one channel")
        self.operations.extend([None] * (capacity - self.capacity))
        self.generations = <uint32_t *> resized(self.generations, capacity * sizeof(uint32_t))
        self.next_free = <uint32_t *> resized(self.next_free, capacity * sizeof(uint32_t))
        slot = capacity
        while slot > self.capacity:
            slot -= 1
            self.generations[slot] = 1
            self.next_free[slot] = self.free_slot
            self.free_slot = slot
        self.capacity = capacity
        return 0

    cdef int note_completion(self, uint64_t token, uint32_t flags) except -1:
        """A completion came out of the kernel: count what it still has, and take the slot that the
        completion carries from the buffer ring."""
        cdef Operation operation
        if slot_of(token) >= self.capacity or not self.is_held(token):
            raise InvariantError(f"completion for token {token:#x}, which is not in flight")
        operation = self.operation_of(token)
        if not flags & CQE_F_MORE:
            operation.has_left = True
            if flags & CQE_F_NOTIF:
                self.notifying -= 1
            else:
                self.count -= 1
        elif operation.is_notified:
            operation.has_left = True
            self.count -= 1
            self.notifying += 1
        if flags & CQE_F_BUFFER:
            operation.pool.take(flags >> CQE_BUFFER_SHIFT)
        return 0

    cdef uint32_t held(self) noexcept:
        """How many operations have a slot."""
        cdef uint32_t slot
        cdef uint32_t count = 0
        for slot in range(self.capacity):
            count += self.operations[slot] is not None
        return count
