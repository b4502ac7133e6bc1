from libc.stdint cimport uint8_t, uint16_t

from zcloop._native.kernel.uring cimport io_uring_buf, io_uring_buf_ring, publish_tail
from zcloop._native.memory.mapping cimport Mapping
from zcloop._native.memory.pool cimport Pool
from zcloop._native.memory.region cimport Lease
from zcloop._native.ring.ring cimport Ring


cdef class BufferRing:
    cdef Mapping slots              # count * slot_size bytes; None when a pool has them
    cdef Pool pool                  # whose blocks the slots are, else; a slot can be exchanged
    cdef list blocks                # per slot: its Lease
    cdef char **addresses           # per slot
    cdef Mapping table              # the io_uring_buf entries that the kernel reads
    cdef Ring ring
    cdef uint8_t *is_lent           # per slot: out of the kernel's hands, held by a completion
    cdef uint16_t tail
    cdef unsigned mask
    cdef readonly unsigned count
    cdef readonly unsigned lent
    cdef readonly size_t slot_size
    cdef readonly unsigned group

    cdef int register_with(self, Ring ring) except -1
    cdef int unregister(self) noexcept
    cdef Lease exchange(self, unsigned index)

    cdef inline char *slot(self, unsigned index) noexcept nogil:
        return self.addresses[index]

    cdef inline void take(self, unsigned index) noexcept nogil:
        """A completion brought this slot: it is ours until `give`."""
        self.is_lent[index] = 1
        self.lent += 1

    cdef inline void give(self, unsigned index) noexcept nogil:
        """Back to the kernel; the slot's bytes may change from here on."""
        self.is_lent[index] = 0
        self.lent -= 1
        self.provide(index)

    cdef inline void provide(self, unsigned index) noexcept nogil:
        if self.table.address == NULL:
            return      # a forked child's: the memory was not inherited
        cdef io_uring_buf *entry = (<io_uring_buf *> self.table.address) + (self.tail & self.mask)
        entry.addr = <size_t> self.slot(index)
        entry.len = <unsigned> self.slot_size
        entry.bid = index
        self.tail += 1
        publish_tail(<io_uring_buf_ring *> self.table.address, self.tail)
