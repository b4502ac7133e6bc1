from libc.stdint cimport int64_t, uint32_t, uint8_t

from zcloop._native.kernel.bits cimport count_leading_zeros


cdef class Allocator:
    cdef uint32_t[32] heads         # per order: the first free block, or NONE
    cdef uint32_t nonempty          # bit per order: there is a free block
    cdef uint32_t *after            # per unit, meaningful where a free block begins
    cdef uint32_t *before
    cdef uint8_t *orders            # where a block begins: its order, and whether it is free
    cdef readonly uint32_t units
    cdef readonly uint32_t free_units

    cdef int64_t take(self, unsigned order) noexcept nogil
    cdef bint give(self, uint32_t unit) noexcept nogil
    cdef void shrink(self, uint32_t unit, unsigned order) noexcept nogil
    cdef void push(self, uint32_t unit, unsigned order) noexcept nogil
    cdef void remove(self, uint32_t unit, unsigned order) noexcept nogil


# The smallest order whose blocks hold so many units.
cdef inline unsigned order_of(size_t units) noexcept nogil:
    return 0 if units <= 1 else 64 - count_leading_zeros(units - 1)
