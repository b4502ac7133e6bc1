cimport cython

from zcloop._native.memory.buffer_ring cimport BufferRing
from zcloop._native.memory.pool cimport Pool

cdef enum Kind:
    # The number is the group by which the kernel knows the ring, so 0 is none.
    NO_KIND
    RECEIVED
    DATAGRAMS
    LENDING
    LENDING_DATAGRAMS
    FLOOD
    SEGMENTED
    KINDS_END

cdef struct Shape:
    unsigned slots              # a power of two
    size_t slot_size            # bytes
    bint is_lending             # slots are blocks of the pool, which can be lent
    bint is_for_messages        # for recvmsg(), else for recv()
    bint is_spare               # what uses it receives directly where there is none


@cython.final
cdef class BufferRings:
    cdef list made              # by kind: a BufferRing or None

    cdef BufferRing make(self, Kind kind, Pool pool)
    cdef list all(self)
    cdef bint has_any(self) noexcept

    cdef inline BufferRing of(self, Kind kind):
        return <BufferRing> self.made[<int> kind]

cdef const Shape *shape_of(Kind kind) noexcept nogil
