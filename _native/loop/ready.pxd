from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF

from zcloop._native.loop.handle cimport Handle


cdef class ReadyQueue:
    cdef PyObject **handles         # owned references, a ring of `capacity` (a power of two)
    cdef size_t capacity
    cdef size_t head
    cdef size_t tail

    cdef int grow(self) except -1
    cdef int clear(self) except -1

    cdef inline size_t count(self) noexcept:
        return self.tail - self.head

    cdef inline int push(self, Handle handle) except -1:
        # Other threads call it, too, under the GIL, which nothing here gives up.
        if self.tail - self.head == self.capacity:
            self.grow()
        Py_INCREF(handle)
        self.handles[self.tail & (self.capacity - 1)] = <PyObject *> handle
        self.tail += 1
        return 0

    cdef inline PyObject *pop(self) noexcept:
        """The oldest handle; the queue's reference passes to the caller. Only when count() > 0."""
        cdef PyObject *handle = self.handles[self.head & (self.capacity - 1)]
        self.head += 1
        return handle
