"""Memory that is lent: a region is one mapping cut into blocks, a lease is one block that is out.

A lease is what a memoryview exports, and holds no more than its block. It ends when the last view,
slice or array on it is gone or released, which CPython's buffer protocol tells exactly. It has no
other owner, so a block is never used again under a live export. The block goes back to its region
in whichever thread that happens, under the GIL; no ring is touched.

    size of the region == bytes used by kernel + leases + reserves + free, always

A lease keeps its region, so memory outlives close() of the loop it was received by. In a forked
child the region is zeros, its views count as released, and taking raises.

Region and Lease stand in one module, since they share their books: a region makes its leases and
has them in a list, and a lease that ends takes itself out of it and gives its block back.

Rejected: one persistent exporter for each block (through `view.obj` it could be exported again
after its block had been given back); PyMemoryView_FromMemory (it cannot tell its end).
"""

import threading

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo, PyBuffer_IsContiguous
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from zcloop._native.kernel.clock cimport CLOCK_MONOTONIC_COARSE, clock_gettime, timespec
from zcloop._native.kernel.cpython cimport (
    PyMemoryView_Check, PyMemoryView_FromObject, PyMemoryView_GET_BUFFER, end_export, export_of,
    exporter,
)
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.memory.allocator cimport order_of
from zcloop._native.memory.lease_tracing cimport report_unless_released, trace_of
from zcloop._native.memory.regions cimport abandon_by, add_region

# From so many bytes on, zeroing takes longer than to give up the GIL and to get it back.
cdef size_t CLEAR_WITHOUT_GIL_MIN = 1 << 20

_USE_NAMES = ("kernel", "lease", "reserve")     # by the number of the use


cdef size_t units_of(size_t size) noexcept nogil:
    return size // UNIT + (size % UNIT != 0)


cdef size_t block_size_of(size_t size) noexcept nogil:
    """Bytes of the block that is taken for `size` bytes, which are at most 2^62."""
    return <size_t> UNIT << order_of(units_of(size))


cdef double coarse_now() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


class RegionExhaustedError(MemoryError):
    """A region has no free block of the size that was asked for. Nothing was taken."""


cdef class Region:
    """`size` bytes of memory for receiving into and sending from in place (dma_alloc).

    The size is rounded up to whole pages (to 2 MiB with `huge_pages`, which asks for transparent
    huge pages and takes what the kernel grants). `pinned` memory is registered with each loop that
    sends from it, and then counts against RLIMIT_MEMLOCK. Blocks are 1 KiB times a power of two.
    Several loops and threads may use one region. Raises ValueError for a size of 0, and OSError
    (ENOMEM) when the system has no such memory.
    """

    def __cinit__(self, size_t size, *, bint pinned=True, bint huge_pages=False):
        self.mapping = Mapping(size, leaves_zeros=True, huge_pages=huge_pages)
        self.size = self.mapping.size
        self.allocator = Allocator(self.size // UNIT)
        self.free_units_min = self.allocator.units
        self.spare = -1
        self.pinned = pinned
        add_region(self)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __repr__(self):
        if self.mapping.mapped == 0:
            return f"<Region of {self.size} bytes, closed>"
        return (f"<Region of {self.size} bytes, {self.size - self.free_bytes} in use"
                f"{', closing' if self.is_closing else ''}>")

    cdef int check_usable(self) except -1:
        """RuntimeError in a forked child, ValueError for a region that is closed or closing."""
        if self.is_forked:
            raise RuntimeError("this region belongs to the parent process: after fork() a child "
                               "makes its own (zcloop.Region)")
        if self.is_closing:
            raise ValueError("the region is closed")
        return 0

    cdef int64_t take_block(self, unsigned order) noexcept:
        """The first unit of a free block of that order; -1 when there is none."""
        cdef int64_t unit = self.spare
        if unit >= 0 and self.allocator.orders[unit] == order:
            self.spare = -1
            return unit
        unit = self.allocator.take(order)
        if unit < 0 and self.spare >= 0:
            self.allocator.give(<uint32_t> self.spare)
            self.spare = -1
            unit = self.allocator.take(order)
        return unit

    cdef void give_block(self, uint32_t unit) noexcept:
        """The block is free again. It is kept whole for the next taker of its size; the one that
        was kept so far is joined with its neighbours."""
        if self.spare >= 0:
            self.allocator.give(<uint32_t> self.spare)
        self.spare = unit

    cdef uint32_t free_units(self) noexcept:
        cdef uint32_t units = self.allocator.free_units
        if self.spare >= 0:
            units += <uint32_t> 1 << self.allocator.orders[self.spare]
        return units

    cdef Lease take(self, size_t size, int use):
        """A lease of `size` bytes, exported to nobody yet; None when there is no free block."""
        cdef int64_t unit = -1
        cdef Lease lease
        if not self.is_closing and not self.is_forked:
            unit = self.take_block(order_of(units_of(size)))
        if unit < 0:
            return None
        lease = Lease.__new__(Lease)
        lease.region = self
        lease.unit = <uint32_t> unit
        lease.data = self.mapping.address + <size_t> unit * UNIT
        lease.size = size
        lease.use = use
        self.used[use] += lease.block_size()
        self.blocks[use] += 1
        lease.older = self.newest
        if self.newest != NULL:
            (<Lease> self.newest).newer = <void *> lease
        self.newest = <void *> lease
        if self.free_units() < self.free_units_min:
            self.free_units_min = self.free_units()
        return lease

    def reserve(self, size_t size, *, bint zeroed=True):
        """A writable view of `size` bytes, zeroed, to be filled and written (sio_reserve).

        `zeroed=False` saves the zeroing, for memory that will be filled whole. Until then it shows
        what was received or written there before, of other connections, too. Releasing the view
        gives the memory back. Raises RegionExhaustedError when no free block is large enough,
        ValueError for a size of 0 or a closed region, and RuntimeError in a forked child. May be
        called in any thread.
        """
        self.check_usable()
        if size == 0:
            raise ValueError("a reservation needs a size of at least one byte")
        lease = self.take(size, USED_BY_RESERVE)
        if lease is None:
            raise RegionExhaustedError(
                f"no free block of {size} bytes in {self!r}: release views, reserve less, or make "
                "a larger region")
        lease.born = coarse_now()
        if zeroed:
            lease.clear()
        return lease.view()

    @property
    def free_bytes(self):
        """Bytes that are not out. They may lie in pieces, so a reservation of as many can fail."""
        return self.free_units() * <size_t> UNIT

    @property
    def used_max(self):
        """The most bytes that were out at a time since the region was made, in whole blocks."""
        return self.size - self.free_units_min * <size_t> UNIT

    @property
    def is_closed(self):
        """Whether close() has freed the memory."""
        return self.mapping.mapped == 0

    def statistics(self):
        """What the memory is used for, as a dict: bytes in `size`, `free`, `used_max`, and in
        `kernel` (receive buffers), `lease` (received and lent) and `reserve` (to be written); the
        last three have their numbers of blocks in `kernel_blocks` and so on."""
        cdef int use
        found = {"size": self.size, "free": self.free_bytes, "used_max": self.used_max}
        for use in range(USES):
            found[_USE_NAMES[use]] = self.used[use]
            found[_USE_NAMES[use] + "_blocks"] = self.blocks[use]
        return found

    def leases(self):
        """What is out but for receive buffers, the newest first. Each is a dict: `size` in bytes,
        `address`, `use` ("lease" or "reserve"), `owner` (who is charged for it, or None), `age` in
        seconds, and `place` (what received it, while leases are traced, else None)."""
        cdef void *item = self.newest
        cdef Lease lease
        found = []
        now = coarse_now()
        while item != NULL:
            lease = <Lease> item
            if lease.use != USED_BY_KERNEL:
                found.append({
                    "size": lease.size,
                    "address": <size_t> lease.data,
                    "use": _USE_NAMES[lease.use],
                    "owner": None if lease.account is None else lease.account.name,
                    "age": now - lease.born,
                    "place": None if lease.trace is None else lease.trace[1],
                })
            # This is read last: what is made above may run the collector, which may end other
            # leases of the list.
            item = lease.older
        return found

    def close(self, timeout=0.0):
        """Free the memory (dma_free). A second call does nothing.

        While blocks are out it waits up to `timeout` seconds for them (None: for ever), blocking
        its thread, and then raises BufferError that names the holders. Receive buffers of a loop
        count too. The region hands out no memory meanwhile, and does so again after the error. In a
        coroutine, `await asyncio.to_thread(region.close, None)` waits. A loop that has pinned the
        region unpins its pages when it next pins a region, or is closed.
        """
        if self.mapping.mapped == 0:
            return
        self.closers += 1
        self.is_closing = True
        try:
            if self.newest != NULL and timeout != 0.0:
                self.wait_for_returns(-1 if timeout is None else max(timeout, 0))
            if self.newest != NULL:
                raise BufferError(self.busy_text())
            self.mapping.close()
        finally:
            self.closers -= 1
            if self.closers == 0:
                self.returned = None
                self.is_closing = self.mapping.mapped == 0

    cdef bint abandon(self) except -1:
        """In a forked child: every view of it ends. Whether blocks are out."""
        cdef void *item = self.newest
        cdef void *export
        cdef Lease lease
        self.is_forked = True
        # The list is walked, and not the collector's, which does not know of frozen objects.
        while item != NULL:
            lease = <Lease> item
            if lease.export != NULL:
                export = lease.export
                lease.export = NULL
                end_export(export)
            item = lease.older
        return self.newest != NULL

    cdef int wait_for_returns(self, timeout) except -1:
        """Wait up to `timeout` seconds (-1: for ever) until no block is out.

        Rejected: a threading.Event. The collector may end the last lease in the midst of the
        event's own wait, which holds the lock that setting the event needs.
        """
        if self.returned is None:
            self.returned = threading.Lock()
            self.returned.acquire()
        gate = self.returned
        # The gate is there before the last look at the list, so no return goes unnoticed.
        if self.newest != NULL and gate.acquire(True, timeout):
            gate.release()      # another thread may wait, too
        return 0

    def busy_text(self):
        """Who holds what is out, at most five, as close() says it in its error."""
        holders = [f"{one['size']} bytes by {one['owner'] or 'a reservation'}"
                   for one in self.leases()[:5]]
        if self.blocks[USED_BY_KERNEL]:
            holders.append(f"{self.blocks[USED_BY_KERNEL]} receive buffers of a loop")
        out = (self.blocks[USED_BY_KERNEL] + self.blocks[USED_BY_LEASE]
               + self.blocks[USED_BY_RESERVE])
        return (f"{out} blocks of the region are out: {', '.join(holders)}; "
                "release their views, or close with a timeout to wait for them")


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Lease:
    """What the views of one block are made from. Regions make leases, and nobody else."""

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, self.data, self.size, 0, flags)

    def __releasebuffer__(self, Py_buffer *buffer):
        # The last view of this export ends. The lease itself may go on, in a queue of writes.
        if buffer == self.export:
            self.export = NULL
            if self.trace is not None:
                report_unless_released(self.trace, buffer)

    def __dealloc__(self):
        cdef Region region = self.region
        cdef size_t size
        if region is None:
            return
        size = self.block_size()
        if self.newer != NULL:
            (<Lease> self.newer).older = self.older
        else:
            region.newest = self.older
        if self.older != NULL:
            (<Lease> self.older).newer = self.newer
        region.used[self.use] -= size
        region.blocks[self.use] -= 1
        region.give_block(self.unit)
        if self.account is not None:
            self.account.credit(size)
        if region.returned is not None and region.newest == NULL:
            gate, region.returned = region.returned, None
            gate.release()

    cdef void clear(self) noexcept:
        """Zero what it will show. There is no view yet, so other threads may run meanwhile."""
        if self.size < CLEAR_WITHOUT_GIL_MIN:
            memset(self.data, 0, self.size)
            return
        with nogil:
            memset(self.data, 0, self.size)

    cdef size_t block_size(self) noexcept:
        """Bytes of its block, padding included."""
        return <size_t> UNIT << self.region.allocator.orders[self.unit]

    cdef void shrink(self, size_t size) noexcept:
        """Show and keep the first `size` bytes. What can be cut off the block is free."""
        cdef Region region = self.region
        cdef size_t end = self.data + size - (region.mapping.address + <size_t> self.unit * UNIT)
        cdef size_t before = self.block_size()
        self.size = size
        if end * 2 <= before:
            region.allocator.shrink(self.unit, order_of(units_of(end)))
            region.used[self.use] -= before - self.block_size()

    cdef void put_to(self, int use, Account account) noexcept:
        """From now on it has this use, and this account is charged for it (None: nobody is)."""
        cdef size_t size = self.block_size()
        if use != self.use:
            self.region.used[self.use] -= size
            self.region.blocks[self.use] -= 1
            self.use = use
            self.region.used[use] += size
            self.region.blocks[use] += 1
        self.account = account
        self.born = coarse_now()
        if account is not None:
            account.charge(size)

    cdef object view(self):
        """The view that all others are made from. It is made once."""
        view = PyMemoryView_FromObject(self)
        self.export = export_of(view)
        return view

    cdef int trace_view(self, view, str place) except -1:
        """If this view is collected and not released, a warning says so, and names the place."""
        self.trace = trace_of(view, place)
        return 0


cdef Lease lease_of(object view, const char **data, size_t *size):
    """The lease that a view shows a contiguous part of, and in `data` and `size` which part; None
    for any other object, and ValueError for a view that was released."""
    cdef Py_buffer *buffer
    if not PyMemoryView_Check(view):
        return None
    view.nbytes     # raises the ValueError; what a released view has below points nowhere
    if exporter(view) == NULL or type(<object> exporter(view)) is not Lease:
        return None
    buffer = PyMemoryView_GET_BUFFER(view)
    if not PyBuffer_IsContiguous(buffer, b"C"):
        return None
    data[0] = <const char *> buffer.buf
    size[0] = buffer.len
    return <Lease> exporter(view)


cdef int abandon_region(object region) except -1:
    return (<Region> region).abandon()


abandon_by(abandon_region)

seal(Lease)
