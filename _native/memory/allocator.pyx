"""Which blocks of a region are free: a buddy allocator over numbered units. It touches no memory
but its own tables.

A block is 2^order units, and begins at a multiple of its size. To take one splits the smallest free
block that is large enough. To give one back joins it with its buddy, and the two with theirs, as
long as these are free. Both take at most ORDERS steps, whatever the region holds. Less than half of
a block is padding, and n free units in one piece hold a block of at least n / 2.

The block that was given back last is taken first, since its memory is still in the cache.
"""

from libc.stdlib cimport free, malloc

from zcloop._native.kernel.bits cimport count_trailing_zeros

# Values of `orders`, beside the orders themselves.
cdef enum:
    FREE = 0x80         # is set beside the order of a free block
    INSIDE = 0xff       # no block begins here

cdef uint32_t NONE = <uint32_t> -1      # no unit: the end of a list


cdef class Allocator:
    """`units` units, all of them free. Raises ValueError unless they are 1 to 2^31 - 1, and
    MemoryError. The caller keeps two threads apart."""

    def __cinit__(self, uint32_t units):
        cdef uint32_t unit = 0
        cdef unsigned order
        if units == 0 or units >= 1 << 31:
            raise ValueError("an allocator has between 1 and 2^31 - 1 units")
        for order in range(ORDERS):
            self.heads[order] = NONE
        self.units = units
        self.after = <uint32_t *> malloc(units * sizeof(uint32_t))
        self.before = <uint32_t *> malloc(units * sizeof(uint32_t))
        self.orders = <uint8_t *> malloc(units)
        if self.after == NULL or self.before == NULL or self.orders == NULL:
            raise MemoryError("allocator")
        for unit in range(units):
            self.orders[unit] = INSIDE
        # From the end on, by the largest blocks that fit: these are at the region's beginning.
        unit = units
        while unit:
            order = count_trailing_zeros(unit)
            unit -= 1 << order
            self.push(unit, order)
        self.free_units = units

    def __dealloc__(self):
        free(self.after)
        free(self.before)
        free(self.orders)

    cdef void push(self, uint32_t unit, unsigned order) noexcept nogil:
        """A free block begins here: it is the first in the list of its order."""
        cdef uint32_t head = self.heads[order]
        self.orders[unit] = order | FREE
        self.before[unit] = NONE
        self.after[unit] = head
        if head != NONE:
            self.before[head] = unit
        self.heads[order] = unit
        self.nonempty |= <uint32_t> 1 << order

    cdef void remove(self, uint32_t unit, unsigned order) noexcept nogil:
        """Take a free block out of the list of its order."""
        cdef uint32_t after = self.after[unit]
        cdef uint32_t before = self.before[unit]
        self.orders[unit] = INSIDE
        if before == NONE:
            self.heads[order] = after
            if after == NONE:
                self.nonempty &= ~(<uint32_t> 1 << order)
        else:
            self.after[before] = after
        if after != NONE:
            self.before[after] = before

    cdef int64_t take(self, unsigned order) noexcept nogil:
        """The first unit of a block of 2^order units, which is taken, or -1 if none is free."""
        cdef uint32_t candidates
        cdef unsigned found
        cdef uint32_t unit
        if order >= ORDERS:
            return -1
        candidates = self.nonempty >> order << order
        if candidates == 0:
            return -1
        found = count_trailing_zeros(candidates)
        unit = self.heads[found]
        self.remove(unit, found)
        while found > order:
            found -= 1
            self.push(unit + (<uint32_t> 1 << found), found)
        self.orders[unit] = order
        self.free_units -= <uint32_t> 1 << order
        return unit

    cdef bint give(self, uint32_t unit) noexcept nogil:
        """A taken block is free again. False, and nothing happens, if none begins there."""
        cdef unsigned order
        cdef uint32_t buddy
        if unit >= self.units or self.orders[unit] & FREE:
            return False
        order = self.orders[unit]
        self.orders[unit] = INSIDE
        self.free_units += <uint32_t> 1 << order
        while True:
            buddy = unit ^ (<uint32_t> 1 << order)
            if buddy >= self.units or self.orders[buddy] != (order | FREE):
                break
            self.remove(buddy, order)
            if buddy < unit:
                unit = buddy
            order += 1
        self.push(unit, order)
        return True

    cdef void shrink(self, uint32_t unit, unsigned order) noexcept nogil:
        """Keep the first 2^order units of a taken block; the rest is free again."""
        cdef unsigned whole = self.orders[unit]
        while whole > order:
            whole -= 1
            self.push(unit + (<uint32_t> 1 << whole), whole)
            self.free_units += <uint32_t> 1 << whole
        self.orders[unit] = whole

    # ---- for tests ---------------------------------------------------------------------------

    def take_block(self, unsigned order):
        """The first unit of a block of 2^order units, which is taken, or None if none is free."""
        unit = self.take(order)
        return None if unit < 0 else unit

    def give_block(self, uint32_t unit):
        """A taken block is free again; False if none begins there."""
        return self.give(unit)

    def shrink_block(self, uint32_t unit, unsigned order):
        """Keep the first 2^order units of a taken block. Raises ValueError if none begins there."""
        if unit >= self.units or self.orders[unit] & FREE:
            raise ValueError("no taken block begins there")
        self.shrink(unit, order)

    def blocks(self):
        """Every block, in order of place: (first unit, order, whether it is free)."""
        found = []
        for unit in range(self.units):
            order = self.orders[unit]
            if order != INSIDE:
                found.append((unit, order & ~FREE, bool(order & FREE)))
        return found
