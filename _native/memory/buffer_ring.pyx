"""The provided buffers of a ring: slots of which the kernel takes the next free one.

Only the ring's own thread touches the tail. A slot is either the kernel's (provided) or lent (a
completion carries it and `give` has not been called); `count == provided + lent` always. When the
loop moves to another thread it makes another ring: `register_with` then provides every slot that
is not lent at that moment, and the lent ones come back one by one as ever.

The slots of a ring over a pool are blocks of that pool. `exchange` puts a fresh block behind a slot
and makes a lease of the one with the data, so that lending never leaves the kernel without slots.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.uring cimport (
    REGISTER_PBUF_RING, UNREGISTER_PBUF_RING, io_uring_buf_reg,
)
from zcloop._native.memory.region cimport USED_BY_KERNEL


cdef class BufferRing:
    """`count` slots (a power of two, at most 32768) of `slot_size` bytes each, as group `group`.

    Raises ValueError, OSError (ENOMEM), and MemoryError when the pool has no room for the slots.
    """

    def __cinit__(self, unsigned group, unsigned count, size_t slot_size, Pool pool=None):
        cdef unsigned index
        if count == 0 or count & (count - 1) or count > 32768:
            raise ValueError("a buffer ring holds a power of two of slots, at most 32768")
        self.group = group
        self.count = count
        self.mask = count - 1
        self.slot_size = slot_size
        self.is_lent = <uint8_t *> calloc(count, 1)
        self.addresses = <char **> calloc(count, sizeof(char *))
        if self.is_lent == NULL or self.addresses == NULL:
            raise MemoryError("buffer ring")
        if pool is None:
            self.slots = Mapping(count * slot_size)
            for index in range(count):
                self.addresses[index] = self.slots.address + index * slot_size
        else:
            self.pool = pool
            self.blocks = []
            for index in range(count):
                lease = pool.take(slot_size, USED_BY_KERNEL)
                if lease is None:
                    raise MemoryError("buffer ring: the pool is exhausted")
                self.blocks.append(lease)
                self.addresses[index] = lease.data
        self.table = Mapping(count * sizeof(io_uring_buf))

    def __dealloc__(self):
        free(self.is_lent)
        free(self.addresses)

    cdef Lease exchange(self, unsigned index):
        """The block behind a slot that a completion brought; the slot has another from now on.
        None, and nothing happens, when the pool has none."""
        cdef Lease fresh = self.pool.take(self.slot_size, USED_BY_KERNEL)
        if fresh is None:
            return None
        lease = <Lease> self.blocks[index]
        self.blocks[index] = fresh
        self.addresses[index] = fresh.data
        return lease

    cdef int register_with(self, Ring ring) except -1:
        cdef io_uring_buf_reg registration
        cdef unsigned index
        memset(&registration, 0, sizeof(registration))
        registration.ring_addr = <size_t> self.table.address
        registration.ring_entries = self.count
        registration.bgid = self.group
        # The kernel starts at head 0 whatever the table held for the ring before.
        publish_tail(<io_uring_buf_ring *> self.table.address, 0)
        cdef int got = ring.register_(REGISTER_PBUF_RING, &registration, 1)
        if got < 0:
            raise_os_error(-got, "IORING_REGISTER_PBUF_RING (Linux 5.19)")
        self.ring = ring
        self.tail = 0
        for index in range(self.count):
            if not self.is_lent[index]:
                self.provide(index)
        return 0

    cdef int unregister(self) noexcept:
        cdef io_uring_buf_reg registration
        if self.ring is None:
            return 0
        memset(&registration, 0, sizeof(registration))
        registration.bgid = self.group
        self.ring.register_(UNREGISTER_PBUF_RING, &registration, 1)
        self.ring = None
        return 0

    def abandon(self):
        """In a forked child: forget the memory, which was not inherited."""
        self.ring = None
        if self.slots is not None:
            self.slots.abandon()
        self.table.abandon()
