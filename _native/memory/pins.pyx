"""Which regions a ring has pinned: its registered buffers, one for each region.

The kernel keeps the pages of a registered buffer, sends from them without looking them up, and
charges them to RLIMIT_MEMLOCK. If it refuses, the memory is used unpinned, which works as well; the
first refusal in a process is logged with what to do about it. Only the ring's thread registers.
"""

import logging
import resource

from libc.errno cimport ENOMEM, EPERM
from libc.string cimport memset

from zcloop._native.kernel.uio cimport iovec
from zcloop._native.kernel.uring cimport (
    REGISTER_BUFFERS2, REGISTER_BUFFERS_UPDATE, RSRC_REGISTER_SPARSE,
    io_uring_rsrc_register, io_uring_rsrc_update2,
)

cdef bint _is_refusal_logged = False


cdef int register_table(Ring ring) noexcept:
    """Register PINS_MAX entries, all empty. Returns 0 or more, or -errno."""
    cdef io_uring_rsrc_register table
    memset(&table, 0, sizeof(table))
    table.nr = PINS_MAX
    table.flags = RSRC_REGISTER_SPARSE
    return ring.register_(REGISTER_BUFFERS2, &table, sizeof(table))


cdef int update_table(Ring ring, unsigned index, void *address, size_t size) noexcept:
    """Make an entry these pages, or empty (NULL, 0). Returns 0 or more, or -errno."""
    cdef io_uring_rsrc_update2 update
    cdef iovec vector
    vector.iov_base = address
    vector.iov_len = size
    memset(&update, 0, sizeof(update))
    update.offset = index
    update.data = <size_t> &vector
    update.nr = 1
    return ring.register_(REGISTER_BUFFERS_UPDATE, &update, sizeof(update))


cdef class Pins:
    """The pinned regions of one ring at a time."""

    def __cinit__(self):
        self.regions = [None] * PINS_MAX

    cdef int index_of(self, Region region) noexcept:
        """The index of the region's registered buffer, or -1 if it is not pinned here."""
        cdef int index
        if self.ring is not None:
            for index in range(PINS_MAX):
                if self.regions[index] is region:
                    return index
        return -1

    cdef int pin(self, Ring ring, Region region) except -1:
        """Pin the region if it asks for that, is not pinned yet, and the kernel allows it."""
        cdef int index, got
        if (self.refused or not region.pinned or region.is_closed
                or self.index_of(region) >= 0):
            return 0
        if self.ring is None:
            got = register_table(ring)
            if got < 0:
                return self.refuse(-got, region)
            self.ring = ring
        self.sweep()
        for index in range(PINS_MAX):
            if self.regions[index] is None:
                got = update_table(ring, index, region.mapping.address, region.size)
                if got < 0:
                    return self.refuse(-got, region)
                self.regions[index] = region
                self.size += region.size
                return 0
        return 0        # a program with more regions than entries sends from the rest unpinned

    cdef int refuse(self, int errno_, Region region) except -1:
        """The kernel does not pin this region: ask no more."""
        global _is_refusal_logged
        self.refused = errno_
        if not _is_refusal_logged and errno_ in (ENOMEM, EPERM):
            _is_refusal_logged = True
            limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
            logging.getLogger("zcloop").warning(
                "%d bytes of memory could not be pinned (RLIMIT_MEMLOCK is %d bytes) and "
                "are used unpinned; `ulimit -l` or LimitMEMLOCK= raises the limit",
                region.size, limit)
        return 0

    cdef int sweep(self) except -1:
        """Unpin the regions that were closed since."""
        cdef int index
        cdef Region region
        if self.ring is None:
            return 0
        for index in range(PINS_MAX):
            if self.regions[index] is not None:
                region = <Region> self.regions[index]
                if region.is_closed:
                    update_table(self.ring, index, NULL, 0)
                    self.regions[index] = None
                    self.size -= region.size
        return 0

    cdef int move_to(self, Ring ring) except -1:
        """The loop goes on with another ring: pin there what was pinned here."""
        pinned = [region for region in self.regions if region is not None]
        self.ring = None
        self.size = 0
        self.regions = [None] * PINS_MAX
        for region in pinned:
            self.pin(ring, <Region> region)
        return 0

    cdef void abandon(self) noexcept:
        """The ring is gone, and its registrations with it."""
        self.ring = None
