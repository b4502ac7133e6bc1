"""The memory that a loop lends when its transports have no region of their own: it grows by whole
regions, up to a limit.

Only the first region may be pinned, when something of it was sent in place. It is small enough that
four loops of an ordinary user do so within the usual RLIMIT_MEMLOCK of 8 MiB. Regions are tried in
the order they were made, so that the first stays the one in the cache.
"""

from zcloop._native.memory.region cimport Region, block_size_of

# 32 slots of 16 KiB for the ring, and four blocks of 256 KiB for bulk.
cdef size_t FIRST_SIZE = 1536 * 1024
cdef size_t GROWTH_SIZE = 4 * 1024 * 1024
cdef size_t LIMIT = 64 * 1024 * 1024


cdef class Pool:
    def __cinit__(self):
        self.regions = []
        self.limit = LIMIT

    cdef Lease take(self, size_t size, int use):
        """A lease from the first region that has room; None at the limit."""
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
        """Sums over the regions, how many there are, growths and refusals, as a dict."""
        found = {"regions": len(self.regions), "limit": self.limit, "growths": self.growths,
                 "refusals": self.refusals}
        for region in self.regions:
            for name, value in region.statistics().items():
                found[name] = found.get(name, 0) + value
        return found

    def leases(self):
        """What is out of every region: dicts as Region.leases() gives."""
        return [one for region in self.regions for one in region.leases()]
