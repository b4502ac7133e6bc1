"""The buffer rings of a loop: slots that the kernel receives into, of six kinds.

    group   kind                slots   bytes   lends   what it is for
    1       RECEIVED            128     16384   no      streams that bring small pieces
    2       DATAGRAMS           64      69632   no      the largest datagram, with its header
    3       LENDING             32      16384   yes     as RECEIVED, for who is lent what comes
    4       LENDING_DATAGRAMS   16      69632   yes     as DATAGRAMS, for who is lent what comes
    5       FLOOD               16      65536   yes     streams that are sent much without a pause
    6       SEGMENTED           16      69632   no      sockets that fill a slot with many datagrams

A ring is made when it is first wanted, and stays for as long as the loop. Whoever lends has slots
of its own, so that no other transport runs out of them because somebody holds what was lent.

Memory is address space, of which only what messages fill is touched. The small numbers of slots
keep what is touched in a core's second-level cache (1 to 2 MiB): the slots of a larger ring are
cold when their turn comes again.
"""

cimport cython

# Streams have 2 MiB: one enter completes the work of 20 requests at most, so that 128 slots are
# never all out where they come back at once.
# A datagram's slot has the largest datagram of 64 KiB, and a page for its header and address. A
# block of the pool is then 128 KiB, and what a datagram does not fill of it is free.
# Segmented slots are filled: with 64 of them they would have left the cache.
cdef Shape[<int> KINDS_END] SHAPES
SHAPES[<int> RECEIVED] = Shape(128, 16384, False, False, False)
SHAPES[<int> DATAGRAMS] = Shape(64, 69632, False, True, False)
SHAPES[<int> LENDING] = Shape(32, 16384, True, False, False)
SHAPES[<int> LENDING_DATAGRAMS] = Shape(16, 69632, True, True, False)
SHAPES[<int> FLOOD] = Shape(16, 65536, True, False, True)
SHAPES[<int> SEGMENTED] = Shape(16, 69632, False, True, False)


cdef const Shape *shape_of(Kind kind) noexcept nogil:
    return &SHAPES[<int> kind]


def shape(Kind kind):
    """The slots of a kind of ring, the bytes of each, and whether they can be lent."""
    if not NO_KIND < kind < KINDS_END:
        raise ValueError("no kind of buffer ring")
    return SHAPES[<int> kind].slots, SHAPES[<int> kind].slot_size, SHAPES[<int> kind].is_lending


@cython.final
@cython.no_gc_clear     # a channel that ends needs it
cdef class BufferRings:
    def __cinit__(self):
        self.made = [None] * <int> KINDS_END

    cdef BufferRing make(self, Kind kind, Pool pool):
        """Make the ring of this kind, in memory of the pool if it lends. It is not registered yet.
        OSError, and MemoryError when the pool has no room."""
        cdef const Shape *shape = shape_of(kind)
        return BufferRing(kind, shape.slots, shape.slot_size, pool if shape.is_lending else None)

    cdef bint has_any(self) noexcept:
        for ring in self.made:
            if ring is not None:
                return True
        return False

    cdef list all(self):
        """Every ring that has been made."""
        return [ring for ring in self.made if ring is not None]
