cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from zcloop._native.memory.account cimport Account
from zcloop._native.memory.allocator cimport Allocator
from zcloop._native.memory.mapping cimport Mapping

cdef enum:
    UNIT = 1024             # bytes: the smallest block

cdef enum:              # what a block is used for
    USED_BY_KERNEL          # a buffer ring has it; the kernel may write it
    USED_BY_LEASE           # received, and lent to a protocol
    USED_BY_RESERVE         # handed out to be filled and sent
    USES                    # how many there are


cdef class Region:
    cdef object __weakref__
    cdef Mapping mapping
    cdef Allocator allocator
    cdef int64_t spare              # a free block not joined with others yet; -1: none
    cdef void *newest               # the list of blocks that are out, borrowed
    cdef size_t[USES] used          # bytes of whole blocks, by use
    cdef uint32_t[USES] blocks      # how many blocks, by use
    cdef readonly size_t size       # bytes of the mapping
    cdef uint32_t free_units_min    # the fewest units that were free at a time
    cdef readonly bint pinned       # registered with each ring that sends from it, if allowed
    cdef readonly bint is_closing   # no new blocks
    cdef bint is_forked             # of the parent: here its memory is zeros
    cdef unsigned closers           # threads inside close()
    cdef object returned            # a lock, released when the last block comes back

    cdef int64_t take_block(self, unsigned order) noexcept
    cdef void give_block(self, uint32_t unit) noexcept
    cdef uint32_t free_units(self) noexcept
    cdef Lease take(self, size_t size, int use)
    cdef int check_usable(self) except -1
    cdef bint abandon(self) except -1
    cdef int wait_for_returns(self, timeout) except -1


@cython.final
cdef class Lease:
    cdef Region region              # None until it has a block, and when it has none any more
    cdef Account account            # who is charged for it; None: nobody
    cdef char *data                 # what the view shows, somewhere in the block
    cdef size_t size
    cdef void *newer                # neighbours in the region's list
    cdef void *older
    cdef double born                # monotonic seconds
    cdef object trace               # while tracing: a weak reference to the view, and the place
    cdef void *export               # what the views are made from; NULL once it has ended
    cdef uint32_t unit
    cdef int use

    cdef void clear(self) noexcept
    cdef size_t block_size(self) noexcept
    cdef void shrink(self, size_t size) noexcept
    cdef void put_to(self, int use, Account account) noexcept
    cdef object view(self)
    cdef int trace_view(self, view, str place) except -1


cdef size_t block_size_of(size_t size) noexcept nogil
cdef Lease lease_of(object view, const char **data, size_t *size)
