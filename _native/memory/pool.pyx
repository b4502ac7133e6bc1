"""The memory that a loop lends when its transports have no region of their own. It grows by whole
regions, up to a limit.

Only the first region may be pinned, once something of it was sent in place. It is so small that
four loops of an ordinary user can pin theirs within the usual RLIMIT_MEMLOCK of 8 MiB. A block is
looked for in the regions in the order they were made, so that the first stays in the cache.
"""

from zcloop._native.memory.region cimport Region, block_size_of

# Bytes of the first region: 32 slots of 16 KiB for the ring, and four blocks of 256 KiB for bulk.
cdef size_t FIRST_SIZE = 1536 * 1024
# Bytes of a later region, unless a larger block is asked for: 16 blocks of 256 KiB for bulk.
cdef size_t GROWTH_SIZE = 4 * 1024 * 1024
# Bytes of all regions, unless the program says otherwise: eight transports' quotas (`Lender`).
cdef size_t LIMIT = 64 * 1024 * 1024


cdef class Pool:
    """Regions that grow in number up to `limit` bytes. Under the GIL."""

    def __cinit__(self):
        self.regions = []
        self.limit = LIMIT

    cdef Lease take(self, size_t size, int use):
        """A lease from the first region that has room. None if there is none, and no more memory to
        grow by."""
        cdef Lease lease
        cdef size_t growth
        for region in self.regions:
            lease = (<Region> region).take(size, use)
            if lease is not None:
                return lease
        growth = GROWTH_SIZE if self.regions else FIRST_SIZE
        if size <= self.limit and block_size_of(size) > growth:
            growth = block_size_of(size)
        if size > self.limit or self.size + growth > self.limit:
            self.refusals += 1
            return None
        try:
            region = Region(growth, pinned=not self.regions)
        except (OSError, MemoryError):      # no more address space: RLIMIT_AS, overcommit
            self.refusals += 1
            return None
        self.growths += 1
        self.size += growth
        self.regions.append(region)
        return (<Region> region).take(size, use)

    def statistics(self):
        """Sums over the regions, with their number, the limit, growths and refusals, as a dict."""
        found = {"regions": len(self.regions), "limit": self.limit, "growths": self.growths,
                 "refusals": self.refusals}
        for region in self.regions:
            for name, value in region.statistics().items():
                found[name] = found.get(name, 0) + value
        return found

    def leases(self):
        """What is out of all regions: dicts as of Region.leases()."""
        return [one for region in self.regions for one in region.leases()]
