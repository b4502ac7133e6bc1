# The table of requests: slot -> operation and generation.

cimport cython
from libc.stdint cimport uint32_t, uint64_t

from zcloop._native.operation.operation cimport IDLE, INFLIGHT, Operation

cdef enum:
    NO_SLOT = 0xFFFFFFFF        # the end of the chain of free slots


cdef inline uint32_t slot_of(uint64_t token) noexcept nogil:
    return <uint32_t> token


cdef inline uint32_t generation_of(uint64_t token) noexcept nogil:
    return <uint32_t> (token >> 32)


@cython.final
cdef class Inflight:
    cdef list operations                # by slot: an Operation, which the collector must see; None
    cdef uint32_t *generations          # by slot: counted up at each release
    cdef uint32_t *next_free            # by free slot: the next one of the chain
    cdef uint32_t capacity
    cdef uint32_t free_slot             # the first of the chain, or NO_SLOT
    cdef uint32_t count                 # with the kernel now: a last completion will come
    cdef uint32_t notifying             # over, but the kernel still has memory of theirs

    cdef int grow(self) except -1
    cdef int add_slots(self) except -1
    cdef int ensure_slots(self, Py_ssize_t count) except -1
    cdef int note_completion(self, uint64_t token, uint32_t flags) except -1
    cdef uint32_t held(self) noexcept

    cdef inline uint64_t token_of(self, Operation operation) noexcept:
        """What the kernel knows this request by, while it has a slot."""
        return (<uint64_t> self.generations[operation.slot] << 32) | operation.slot

    cdef inline bint is_held(self, uint64_t token) noexcept:
        """Whether the slot still belongs to the operation that the token was made for. A completion
        that was queued before its owner took the operation back (`unpark`) belongs to nobody."""
        return self.generations[slot_of(token)] == generation_of(token)

    cdef inline Operation operation_of(self, uint64_t token):
        """The operation of a token for which `is_held`."""
        return <Operation> self.operations[slot_of(token)]

    cdef inline int admit(self, Operation operation) except -1:
        """After it `acquire` cannot fail, nor allocate. No code of the program runs meanwhile, so
        that who has checked whether to submit may do so. InvariantError if it is not IDLE."""
        if operation.state != IDLE:
            refuse_submission()
        if self.free_slot == NO_SLOT:
            self.add_slots()
        return 0

    cdef inline uint64_t acquire(self, Operation operation) noexcept:
        """Give an operation a slot, after `admit`. It is in flight. Returns its token."""
        cdef uint32_t slot = self.free_slot
        self.free_slot = self.next_free[slot]
        self.operations[slot] = operation
        operation.slot = slot
        operation.state = INFLIGHT
        operation.has_left = False
        self.count += 1
        return (<uint64_t> self.generations[slot] << 32) | slot

    cdef inline void release(self, Operation operation) noexcept:
        """Free the slot of an operation, which is IDLE. Its tokens are held no more. The caller has
        the operation still: its end, which may run code, comes after this."""
        cdef uint32_t slot = operation.slot
        operation.state = IDLE
        self.operations[slot] = None
        self.generations[slot] += 1
        if self.generations[slot] == 0:
            self.generations[slot] = 1
        self.next_free[slot] = self.free_slot
        self.free_slot = slot

cdef int refuse_submission() except -1
