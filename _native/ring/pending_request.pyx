"""Requests from their submission to their last completion, and the memory that they stand in.

A request is C memory, so that it can be made, moved and ended without the GIL. Requests are
allocated in blocks, used again, and freed with the ring. The table finds a request by its
user_data, as a cancel names it. Above the ring the low half of user_data is a small number, the
slot of an operation, and the high half is never 0; a request whose high half is 0 cannot be found,
and so not be cancelled.
"""

from libc.errno cimport ENOMEM
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset

from zcloop._native.kernel.errors cimport ETIME
from zcloop._native.kernel.socket cimport MSG_WAITALL
from zcloop._native.kernel.uio cimport iovec, msghdr
from zcloop._native.kernel.uring cimport (
    OP_READ, OP_READV, OP_READ_FIXED, OP_RECV, OP_RECVMSG, OP_SEND, OP_SENDMSG, OP_SPLICE,
    OP_TIMEOUT, OP_WRITE, OP_WRITEV, OP_WRITE_FIXED, TIMEOUT_ETIME_SUCCESS,
)

# Requests in one allocation: about 9 KiB.
cdef unsigned BLOCK_SIZE = 64
# The table grows by at least so many slots, so that a program that starts up seldom grows it.
cdef unsigned SLOTS_GROWTH_MIN = 64


cdef unsigned power_of_two(unsigned size) noexcept nogil:
    """The smallest power of two that is not below `size`."""
    cdef unsigned power = 1
    while power < size:
        power *= 2
    return power


cdef int grow_slots(PendingTable *table, unsigned count) noexcept nogil:
    """Have `count` slots, which are more than there are, and some in reserve: 0 or -ENOMEM."""
    cdef unsigned size = power_of_two(count + SLOTS_GROWTH_MIN)
    cdef Pending **slots = <Pending **> realloc(table.slots, size * sizeof(Pending *))
    if slots == NULL:
        return -ENOMEM
    memset(slots + table.slots_size, 0, (size - table.slots_size) * sizeof(Pending *))
    table.slots = slots
    table.slots_size = size
    return 0


cdef Pending *acquire_pending(PendingTable *table) noexcept nogil:
    """A zeroed request that is in no list; NULL when there is no memory."""
    cdef Pending *request
    cdef Pending *block
    cdef unsigned index
    cdef void *start
    if table.free == NULL:
        # Two words in front, not one, keep the requests aligned to 16 bytes.
        start = calloc(1, sizeof(void *) * 2 + BLOCK_SIZE * sizeof(Pending))
        if start == NULL:
            return NULL
        (<void **> start)[0] = table.blocks
        table.blocks = start
        block = <Pending *> (<char *> start + 2 * sizeof(void *))
        for index in range(BLOCK_SIZE):
            block[index].next = table.free
            table.free = &block[index]
    request = table.free
    table.free = request.next
    memset(request, 0, sizeof(Pending))
    request.fd = -1
    return request


cdef void release_pending(PendingTable *table, Pending *request) noexcept nogil:
    cdef uint32_t slot = <uint32_t> request.sqe.user_data
    if slot < table.slots_size and table.slots[slot] == request:
        table.slots[slot] = NULL
    request.next = table.free
    table.free = request


cdef void free_table(PendingTable *table) noexcept nogil:
    """Free every request, also those that have not ended."""
    cdef void *block
    while table.blocks != NULL:
        block = table.blocks
        table.blocks = (<void **> block)[0]
        free(block)
    free(table.slots)
    table.slots = NULL
    table.slots_size = 0
    table.free = NULL


# ---- chains --------------------------------------------------------------------------------------

cdef bint breaks_link(const io_uring_sqe *sqe, int result) noexcept nogil:
    """Whether a request with this result cancels those linked to it. io_uring does so after an
    error, a read or write that moved less than was asked for, and a send or receive with
    MSG_WAITALL that did."""
    cdef int opcode = sqe.opcode
    cdef const msghdr *header
    if opcode == OP_TIMEOUT and result == -ETIME:
        return not sqe.timeout_flags & TIMEOUT_ETIME_SUCCESS
    if result < 0:
        return True
    if opcode in (OP_READ, OP_WRITE, OP_READ_FIXED, OP_WRITE_FIXED, OP_SPLICE):
        return <uint32_t> result < sqe.len
    if opcode in (OP_RECV, OP_SEND):
        return sqe.msg_flags & MSG_WAITALL and sqe.len != 0     # `len` is what is left
    if opcode in (OP_RECVMSG, OP_SENDMSG):
        header = <msghdr *> <size_t> sqe.addr
        return (sqe.msg_flags & MSG_WAITALL and header.msg_controllen == 0
                and header.msg_iovlen != 0)     # the pieces that are left
    if opcode in (OP_READV, OP_WRITEV):
        return <size_t> result < size_of(<iovec *> <size_t> sqe.addr, sqe.len)
    return False


cdef size_t size_of(const iovec *vector, unsigned count) noexcept nogil:
    """Bytes of all pieces together."""
    cdef size_t size = 0
    cdef unsigned index
    for index in range(count):
        size += vector[index].iov_len
    return size
