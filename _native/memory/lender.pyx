"""Where the memory comes from that one transport lends to its protocol, and what is copied instead.

    what has arrived                            what the protocol gets
    up to the copybreak                         a copy; its slot is free at once
    more                                        the block itself, as a lease: no copy in user space
    more, but no block is free, or the
    protocol holds more than its quota          a copy, which is counted as starved

Up to the copybreak a copy is cheaper than lending, and a slow holder of small messages cannot pin
the pool. Network drivers do the same, and the word is theirs.
"""

import os
import sys

cimport cython
from cpython.bytearray cimport PyByteArray_FromStringAndSize

from zcloop._native.kernel.cpython cimport PyMemoryView_FromObject
from zcloop._native.kernel.limits cimport NEVER
from zcloop._native.memory.region cimport USED_BY_LEASE, USED_BY_RESERVE, Region, lease_of

from zcloop._native.memory.region import RegionExhaustedError

# Bytes up to which a copy costs less than to lend a block and take it back.
cdef size_t COPYBREAK = 4096
# Bytes that one transport's leases may hold: an eighth of a pool's limit, so that it takes eight
# hoarders before others are starved.
cdef size_t QUOTA = 8 * 1024 * 1024
# Bytes of the smallest block that is tried, and of the private memory that is received into if
# there is none. It is the size of a slot that streams receive into.
cdef size_t PRIVATE_SIZE = 16 * 1024

# What `trace_leases` takes.
_TRACES = ("off", "full")
# Whether views are lent with the name of who received them: see `trace_leases`.
cdef bint _is_tracing = bool(os.environ.get("PYTHONASYNCIODEBUG")) or sys.flags.dev_mode


def trace_leases(str how):
    """Say whether a lent view that is collected without a release is a ResourceWarning.

    "full": it is, and the warning says what received it. "off", the default unless
    PYTHONASYNCIODEBUG or PYTHONDEVMODE is set: it is not. This holds for what is lent from now on,
    in the whole process. Returns what held before. Raises ValueError for any other word.
    """
    global _is_tracing
    if how not in _TRACES:
        raise ValueError(f"trace_leases takes one of {', '.join(_TRACES)}, not {how!r}")
    before = "full" if _is_tracing else "off"
    _is_tracing = how == "full"
    return before


@cython.no_gc_clear     # the end of its holder needs the account
cdef class Lender:
    """Lends memory of `pool`, or of the regions that are associated. Under the GIL."""

    def __cinit__(self, Pool pool not None):
        self.pool = pool
        self.regions = []
        self.account = Account()
        self.account.quota = QUOTA
        self.copybreak = COPYBREAK

    def pause_if_over(self):
        """Whether the holder has to pause until it is relieved: it holds more than its quota."""
        if self.account.is_over() and not self.account.is_waiting:
            self.account.mark_waiting()
        return self.account.is_waiting

    def set_quota(self, size_t quota):
        """Set how many bytes may be held. A holder that waits and holds no more goes on."""
        self.account.quota = quota
        self.account.relieve(quota)

    def forgive(self):
        """Let the holder go on if it waits, whatever it holds."""
        self.account.relieve(NEVER)

    cdef Lease take(self, size_t size, int use):
        """A block of `size` bytes, or None if none is free."""
        cdef Lease lease
        if not self.regions:
            return self.pool.take(size, use)
        for region in self.regions:
            lease = (<Region> region).take(size, use)
            if lease is not None:
                return lease
        return None

    cdef object lend_slot(self, BufferRing ring, unsigned slot, size_t offset, size_t size):
        """A view of `size` bytes of a slot from `offset` on. The slot can be given back at once."""
        cdef Lease lease
        if size <= self.copybreak:
            return self.copy(ring.slot(slot) + offset, size)
        if ring.pool is not None and not self.account.is_over():
            lease = ring.exchange(slot)
            if lease is not None:
                lease.data += offset
                return self.lend(lease, size)
        return self.starve(ring.slot(slot) + offset, size)

    cdef object lend(self, Lease lease, size_t size):
        """A view of the first `size` bytes of a block. The rest of the block is free again."""
        lease.shrink(size)
        lease.put_to(USED_BY_LEASE, self.account)
        self.account.lent_bytes += size
        self.pool.lent_bytes += size
        view = lease.view()
        if _is_tracing:
            lease.trace_view(view, self.account.name)
        return view

    cdef object copy(self, const char *data, size_t size):
        """A view of a copy, in memory of its own."""
        self.account.copied_bytes += size
        self.pool.copied_bytes += size
        return PyMemoryView_FromObject(PyByteArray_FromStringAndSize(data, size))

    cdef object starve(self, const char *data, size_t size):
        """A view of a copy of what would have been lent if there had been memory."""
        self.account.starved_bytes += size
        self.pool.starved_bytes += size
        return self.copy(data, size)

    cdef Lease take_some(self, size_t size):
        """A block of `size` bytes, or of half of that, and so on down to 16 KiB; None if none is
        free."""
        cdef Lease lease = self.take(size, USED_BY_LEASE)
        while lease is None and size > PRIVATE_SIZE:
            size = size // 2
            lease = self.take(size, USED_BY_LEASE)
        return lease

    def take_buffer(self, size_t size):
        """A writable view of `size` bytes, to be filled by recv_into and the like and given to
        `lend_buffer`.

        It is smaller, down to 16 KiB, if no such block is free, and of private memory if not even
        that is.
        """
        cdef Lease lease = self.take_some(size)
        if lease is None:
            return memoryview(bytearray(min(size, PRIVATE_SIZE)))
        lease.put_to(USED_BY_LEASE, None)
        return lease.view()

    def lend_buffer(self, buffer not None, size_t size):
        """A view of the first `size` bytes of `buffer`, which is released.

        The buffer is one of `take_buffer`, or a reservation. No other view may show its memory, as
        what its block has beyond `size` is free at once. Raises ValueError if it is smaller.
        """
        cdef const char *data = NULL
        cdef size_t capacity = 0
        cdef Lease lease = lease_of(buffer, &data, &capacity)
        cdef const unsigned char[::1] private
        if size > buffer.nbytes:
            raise ValueError(f"{size} bytes cannot have come into a buffer of {buffer.nbytes}")
        if lease is None:
            private = buffer
            data = <const char *> &private[0]
            view = self.starve(data, size) if size > self.copybreak else self.copy(data, size)
            private = None
        elif size <= self.copybreak:
            view = self.copy(data, size)
        else:
            if lease.account is not None:
                lease.account.credit(lease.block_size())
            view = self.lend(lease, size)
        buffer.release()
        return view

    def reserve(self, size_t size, bint zeroed=True):
        """A writable view of `size` bytes, to be filled and written, as of Region.reserve.

        Raises ValueError for a size of 0 or a closed region, RegionExhaustedError if no block is
        free.
        """
        if size == 0:
            raise ValueError("a reservation needs a size of at least one byte")
        lease = self.take(size, USED_BY_RESERVE)
        if lease is None:
            for region in self.regions:
                (<Region> region).check_usable()
            raise RegionExhaustedError(
                f"no free block of {size} bytes: release views, reserve less, or associate a "
                "larger region")
        lease.put_to(USED_BY_RESERVE, self.account)
        if zeroed:
            lease.clear()
        return lease.view()

    def associate(self, Region region not None):
        """Lend from this region too, and no more from the loop's pool. Raises ValueError if it is
        closed."""
        region.check_usable()
        if region not in self.regions:
            self.regions.append(region)

    def disassociate(self, Region region not None):
        """Lend no more from this region; what is lent from it stays lent. Raises ValueError if it
        is not associated."""
        if region not in self.regions:
            raise ValueError("the region is not associated with this transport")
        self.regions.remove(region)

    def statistics(self):
        """What became of the bytes since the beginning, and what is held now, as a dict. `leases`
        and `pauses` are numbers, others are bytes. `starved_bytes` are part of `copied_bytes`."""
        account = self.account
        return {
            "lent_bytes": account.lent_bytes,
            "copied_bytes": account.copied_bytes,
            "starved_bytes": account.starved_bytes,
            "sent_bytes": account.sent_bytes,
            "sent_zero_copy_bytes": account.sent_zero_copy_bytes,
            "kernel_copied_bytes": account.kernel_copied_bytes,
            "held": account.held,
            "leases": account.leases,
            "quota": account.quota,
            "pauses": account.pauses,
        }
