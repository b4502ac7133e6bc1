# The buffer rings that a ring over epoll was given: the program provides slots, receives take them.

from libc.stdint cimport uint16_t, uint32_t, uint8_t

from zcloop._native.kernel.uring cimport (
    CQE_BUFFER_SHIFT, CQE_F_BUFFER, io_uring_buf, io_uring_buf_reg, io_uring_buf_ring,
)

cdef enum:
    # A loop has up to six: the kinds of channel/buffer_rings.pxd.
    GROUPS_MAX = 8

cdef struct BufferGroup:
    char *entries           # io_uring_buf entries; the tail stands in the first one
    uint32_t mask
    uint16_t head           # slots that were taken, modulo 2^16 as the tail is
    uint16_t id
    uint8_t is_used

cdef struct BufferGroups:
    BufferGroup[GROUPS_MAX] groups

cdef int add_group(BufferGroups *where, const io_uring_buf_reg *asked) noexcept nogil
cdef int remove_group(BufferGroups *where, uint16_t group) noexcept nogil


cdef inline BufferGroup *find_group(BufferGroups *where, uint16_t group) noexcept nogil:
    """NULL when there is none of that number."""
    cdef unsigned index
    for index in range(GROUPS_MAX):
        if where.groups[index].is_used and where.groups[index].id == group:
            return &where.groups[index]
    return NULL


cdef inline io_uring_buf *slot_at(BufferGroup *group, unsigned index) noexcept nogil:
    """The slot that is `index` places behind the next one; NULL where there are not so many."""
    cdef unsigned short tail = (<io_uring_buf_ring *> group.entries).tail
    if <unsigned short> (tail - group.head) <= index:
        return NULL
    return <io_uring_buf *> group.entries + ((group.head + index) & group.mask)


cdef inline uint32_t slot_flags(const io_uring_buf *slot) noexcept nogil:
    """The flags of a completion that carries this slot."""
    return CQE_F_BUFFER | <uint32_t> slot.bid << CQE_BUFFER_SHIFT
