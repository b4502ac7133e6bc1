"""What arrived for a protocol that was paused, in order: data, the end of file, errors.

An `Inlet` has one only while something is held, so that a connection which is never paused pays
nothing for it.
"""

cimport cython

from zcloop._native.kernel.sealed cimport seal


@cython.final
cdef class HeldItem:
    """One thing that arrived: which of its fields count is said by `kind`."""


cdef HeldItem make_item(HeldKind kind, object data, object address, int errno_):
    cdef HeldItem item = HeldItem.__new__(HeldItem)
    item.kind = kind
    item.data = data
    item.address = address
    item.errno_ = errno_
    return item


@cython.final
cdef class Held:
    def __cinit__(self):
        self.items = []

    cdef int keep(self, object data, object address) except -1:
        """Add bytes or a view, which comes after all that is held; a stream has no address."""
        self.items.append(make_item(HELD_DATA, data, address, 0))
        return 0

    cdef int keep_end(self) except -1:
        self.items.append(make_item(HELD_END, None, None, 0))
        return 0

    cdef int keep_error(self, int errno_) except -1:
        self.items.append(make_item(HELD_ERROR, None, None, errno_))
        return 0

    cdef int put_back(self, object data) except -1:
        """Hold the rest of a delivery that was left in the middle: it is the oldest."""
        self.items.insert(0, make_item(HELD_DATA, data, None, 0))
        return 0

    cdef HeldItem pop_oldest(self):
        """The oldest item, which is held no longer; only while there is one."""
        cdef HeldItem item = self.items[0]
        del self.items[0]
        return item

    cdef int drop(self) except -1:
        """Give back the memory that the views among the items show; nobody will be given them."""
        cdef HeldItem item
        items, self.items = self.items, []
        for item in items:
            if isinstance(item.data, memoryview):
                item.data.release()
        return 0


seal(HeldItem)
seal(Held)
