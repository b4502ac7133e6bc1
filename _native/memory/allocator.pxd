from libc.stdint cimport int64_t, uint32_t, uint8_t

from zcloop._native.kernel.bits cimport count_leading_zeros

cdef enum:
    ORDERS = 32             # units are fewer than 2^31, so that orders are 0 to 30


cdef class Allocator:
    cdef uint32_t[ORDERS] heads     # by order: the first free block, or NONE
    cdef uint32_t nonempty          # a bit for each order: there is a free block
    # By unit; where a free block begins: the next and the one before in the list of its order.
    cdef uint32_t *after
    cdef uint32_t *before
    cdef uint8_t *orders            # by unit, where a block begins: its order, and if it is FREE
    cdef readonly uint32_t units
    cdef readonly uint32_t free_units

    cdef int64_t take(self, unsigned order) noexcept nogil
    cdef bint give(self, uint32_t unit) noexcept nogil
    cdef void shrink(self, uint32_t unit, unsigned order) noexcept nogil
    cdef void push(self, uint32_t unit, unsigned order) noexcept nogil
    cdef void remove(self, uint32_t unit, unsigned order) noexcept nogil


cdef inline unsigned order_of(size_t units) noexcept nogil:
    """The smallest order whose blocks hold so many units."""
    return 0 if units <= 1 else 64 - count_leading_zeros(units - 1)
