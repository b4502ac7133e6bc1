"""Where the views that one transport hands out come from, and whether they are lent or copied.

    up to the copybreak     copied into memory of their own, and their slot is free at once
    above                   lent in place: no copy in user space
    above, but no free
    block or over quota     copied, and counted as starved

Up to the copybreak a copy is cheaper than lending, and a slow holder of small messages cannot pin
the pool; network drivers do the same, and call it so.
"""

import os
import sys

cimport cython
from cpython.bytearray cimport PyByteArray_FromStringAndSize

from zcloop._native.kernel.cpython cimport PyMemoryView_FromObject
from zcloop._native.kernel.limits cimport NEVER
from zcloop._native.memory.region cimport USED_BY_LEASE, USED_BY_RESERVE, Region, lease_of

from zcloop._native.memory.region import RegionExhaustedError

cdef size_t COPYBREAK = 4096
# An eighth of the pool's limit: eight hoarders before anybody else is copied for.
cdef size_t QUOTA = 8 * 1024 * 1024

# What is received into without a free block, and the smallest block that is tried before.
cdef size_t PRIVATE_SIZE = 16 * 1024

_TRACES = ("off", "full")
cdef bint _is_tracing = bool(os.environ.get("PYTHONASYNCIODEBUG")) or sys.flags.dev_mode


def trace_leases(str how):
    """"full": a view that was collected and not released is a ResourceWarning that says what
    received it; "off" is the default, but for PYTHONASYNCIODEBUG and PYTHONDEVMODE. Holds for
    what is lent from now on, in the whole process. Returns what held before. Raises ValueError."""
    global _is_tracing
    if how not in _TRACES:
        raise ValueError(f"trace_leases takes one of {', '.join(_TRACES)}, not {how!r}")
    before = "full" if _is_tracing else "off"
    _is_tracing = how == "full"
    return before


cdef void call_relief(void *holder) noexcept:
    """In whichever thread the last of the leases came back."""
    try:
        (<Lender> holder).relief()
    except RuntimeError:
        pass        # the loop is closed


@cython.no_gc_clear     # __dealloc__ needs the account, which leases keep
cdef class Lender:
    def __cinit__(self, Pool pool not None):
        self.pool = pool
        self.regions = []
        self.account = Account()
        self.account.quota = QUOTA
        self.copybreak = COPYBREAK

    def __dealloc__(self):
        if self.account is not None and self.account.holder == <void *> self:
            self.account.holder = NULL

    def when_relieved(self, relief):
        """For a holder that is not an Endpoint: what is called, in any thread, when enough is
        back after `wait_if_over`. It may raise RuntimeError in vain."""
        self.relief = relief
        self.account.holder = <void *> self
        self.account.relieved = call_relief

    def wait_if_over(self):
        """Whether more than the quota is held; its holder reads no more until it is relieved."""
        if self.account.is_over() and not self.account.is_waiting:
            self.account.wait()
        return self.account.is_waiting

    def set_quota(self, size_t quota):
        """Bytes that may be held; who waits and holds no more than that goes on."""
        self.account.quota = quota
        self.account.relieve(quota)

    def forgive(self):
        """Whoever waits goes on, whatever is held."""
        self.account.relieve(NEVER)

    cdef Lease take(self, size_t size, int use):
        cdef Lease lease
        if not self.regions:
            return self.pool.take(size, use)
        for region in self.regions:
            lease = (<Region> region).take(size, use)
            if lease is not None:
                return lease
        return None

    cdef object lend_slot(self, BufferRing ring, unsigned slot, size_t offset, size_t size):
        """A view of `size` bytes of a slot; the slot can be given back at once."""
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
        """A view of the first `size` bytes of a block; the rest of it is free again."""
        lease.shrink(size)
        lease.put_to(USED_BY_LEASE, self.account)
        self.account.lent_bytes += size
        self.pool.lent_bytes += size
        view = lease.view()
        if _is_tracing:
            lease.trace_view(view, self.account.name)
        return view

    cdef object copy(self, const char *data, size_t size):
        self.account.copied_bytes += size
        self.pool.copied_bytes += size
        return PyMemoryView_FromObject(PyByteArray_FromStringAndSize(data, size))

    cdef object starve(self, const char *data, size_t size):
        """A copy of what should have been lent, were there memory."""
        self.account.starved_bytes += size
        self.pool.starved_bytes += size
        return self.copy(data, size)

    cdef Lease take_some(self, size_t size):
        """A block of `size` bytes, or of half of that, down to 16 KiB; None if there is none."""
        cdef Lease lease = self.take(size, USED_BY_LEASE)
        while lease is None and size > PRIVATE_SIZE:
            size = size // 2
            lease = self.take(size, USED_BY_LEASE)
        return lease

    def take_buffer(self, size_t size):
        """A view of up to `size` bytes to be filled by recv_into and the like, for `lent`.

        Smaller, down to 16 KiB, where no such block is free, and then of private memory.
        """
        cdef Lease lease = self.take_some(size)
        if lease is None:
            return memoryview(bytearray(min(size, PRIVATE_SIZE)))
        lease.put_to(USED_BY_LEASE, None)
        return lease.view()

    def lent(self, buffer not None, size_t size):
        """A view of the first `size` bytes of `buffer`, which is released.

        The buffer is one of `take_buffer`, or a reservation, and nothing else may show its
        memory: what its block has beyond `size` is free at once. ValueError if it is smaller.
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
        """A writable view of `size` bytes to be filled and written; see Region.reserve."""
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
        """Lend from this region too, and from the loop's pool no more."""
        region.check_usable()
        if region not in self.regions:
            self.regions.append(region)

    def disassociate(self, Region region not None):
        """ValueError if it is not associated. What is lent from it stays lent."""
        if region not in self.regions:
            raise ValueError("the region is not associated with this transport")
        self.regions.remove(region)

    def statistics(self):
        """What became of the bytes since the beginning, and what is held now; all but `leases`
        are bytes. starved_bytes are those of copied_bytes that should have been lent."""
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
