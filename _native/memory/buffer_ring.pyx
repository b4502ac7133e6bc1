"""The provided buffers of a ring: slots, of which each receive gets the next free one.

    a slot is       its bytes are
    provided        the kernel's, to receive into
    lent            the loop's: a completion has brought it, and `give` has not been called

`count == provided + lent` always. Only the ring's own thread touches the tail. When the loop moves
to another thread it makes another ring. Then `register_with` provides every slot that is not lent
at that moment, and the lent ones come back one by one as ever.

The slots of a ring over a pool are blocks of that pool. `exchange` puts a fresh block behind a slot
and makes a lease of the block with the data. So lending never leaves the kernel without slots.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.uring cimport (
    REGISTER_PBUF_RING, UNREGISTER_PBUF_RING, io_uring_buf_reg,
)
from zcloop._native.memory.region cimport USED_BY_KERNEL

cdef unsigned COUNT_MAX = 32768     # slots, the kernel's limit: io_uring_register_buf_ring(3)


cdef class BufferRing:
    """`count` slots of `slot_size` bytes each, as the group of buffers with the number `group`.

    Raises ValueError unless `count` is a power of two up to 32,768, OSError (ENOMEM), and
    MemoryError if the pool has no room for the slots.
    """

    def __cinit__(self, unsigned group, unsigned count, size_t slot_size, Pool pool=None):
        cdef unsigned index
        if count == 0 or count & (count - 1) or count > COUNT_MAX:
            raise ValueError(f"a buffer ring holds a power of two of slots, at most {COUNT_MAX}")
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
        """The block behind a slot that a completion has brought; the slot has another one from now
        on. None, and nothing happens, if the pool has no other."""
        cdef Lease fresh = self.pool.take(self.slot_size, USED_BY_KERNEL)
        if fresh is None:
            return None
        lease = <Lease> self.blocks[index]
        self.blocks[index] = fresh
        self.addresses[index] = fresh.data
        return lease

    cdef int register_with(self, Ring ring) except -1:
        """Provide the slots to this ring. Raises OSError."""
        cdef io_uring_buf_reg registration
        cdef unsigned index
        memset(&registration, 0, sizeof(registration))
        registration.ring_addr = <size_t> self.table.address
        registration.ring_entries = self.count
        registration.bgid = self.group
        # The kernel starts at entry 0, whatever the table held for another ring before.
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
        """The kernel takes no more slots. Idempotent."""
        cdef io_uring_buf_reg registration
        if self.ring is None:
            return 0
        memset(&registration, 0, sizeof(registration))
        registration.bgid = self.group
        self.ring.register_(UNREGISTER_PBUF_RING, &registration, 1)
        self.ring = None
        return 0

    def abandon(self):
        """Forget the memory, in a forked child, which has not inherited it."""
        self.ring = None
        if self.slots is not None:
            self.slots.abandon()
        self.table.abandon()
