"""The handles that are ready to run, first in first out: a ring of pointers that doubles when full.

It has no maximum, as asyncio's has none: call_soon never refuses.
"""

from cpython.ref cimport Py_DECREF
from libc.stdlib cimport free, malloc

cdef enum:
    FIRST_CAPACITY = 64     # handles, in 512 bytes; a power of two, as all that follow


cdef class ReadyQueue:
    def __cinit__(self):
        self.grow()

    def __dealloc__(self):
        self.clear()
        free(self.handles)

    cdef int grow(self) except -1:
        cdef size_t capacity = self.capacity * 2 if self.capacity else FIRST_CAPACITY
        cdef PyObject **handles = <PyObject **> malloc(capacity * sizeof(PyObject *))
        cdef size_t index
        if handles == NULL:
            raise MemoryError("ready queue")
        for index in range(self.head, self.tail):
            handles[index & (capacity - 1)] = self.handles[index & (self.capacity - 1)]
        free(self.handles)
        self.handles = handles
        self.capacity = capacity
        return 0

    cdef int clear(self) except -1:
        """Drop every handle, and what it would have called."""
        cdef Handle handle
        while self.head != self.tail:
            handle = <Handle> self.pop()
            handle.clear()
            Py_DECREF(handle)
        return 0
