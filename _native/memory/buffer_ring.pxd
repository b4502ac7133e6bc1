from libc.stdint cimport uint8_t, uint16_t

from zcloop._native.kernel.uring cimport io_uring_buf, io_uring_buf_ring, publish_tail
from zcloop._native.memory.mapping cimport Mapping
from zcloop._native.memory.pool cimport Pool
from zcloop._native.memory.region cimport Lease
from zcloop._native.ring.ring cimport Ring


cdef class BufferRing:
    cdef Mapping slots              # count * slot_size bytes; None if the slots are a pool's
    cdef Pool pool                  # the slots are its blocks, and can be exchanged; or None
    cdef list blocks                # of a pool: the Lease behind each slot
    cdef char **addresses           # where each slot is
    cdef uint8_t *is_lent           # of each slot: a completion carries it, the kernel has it not
    cdef Mapping table              # the io_uring_buf entries that the kernel reads
    cdef Ring ring                  # the ring that it is registered with, or None
    cdef uint16_t tail              # entries provided since the registration, modulo 2^16
    cdef unsigned mask              # count - 1
    cdef readonly unsigned count    # slots
    cdef readonly unsigned lent     # slots that are lent
    cdef readonly size_t slot_size  # bytes
    cdef readonly unsigned group    # the number by which requests name this ring of buffers

    cdef int register_with(self, Ring ring) except -1
    cdef int unregister(self) noexcept
    cdef Lease exchange(self, unsigned index)

    cdef inline char *slot(self, unsigned index) noexcept nogil:
        return self.addresses[index]

    cdef inline void take(self, unsigned index) noexcept nogil:
        """A completion has brought this slot: it is ours until `give`."""
        self.is_lent[index] = 1
        self.lent += 1

    cdef inline void give(self, unsigned index) noexcept nogil:
        """The slot is the kernel's again: its bytes may change from here on."""
        self.is_lent[index] = 0
        self.lent -= 1
        self.provide(index)

    cdef inline void provide(self, unsigned index) noexcept nogil:
        """Offer a slot to the kernel."""
        if self.table.address == NULL:
            return      # a forked child's: the memory was not inherited
        cdef io_uring_buf *entry = (<io_uring_buf *> self.table.address) + (self.tail & self.mask)
        entry.addr = <size_t> self.slot(index)
        entry.len = <unsigned> self.slot_size
        entry.bid = index
        self.tail += 1
        publish_tail(<io_uring_buf_ring *> self.table.address, self.tail)
