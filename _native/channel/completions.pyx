"""Completions that were reaped and not yet dispatched, in order.

The ring is free again before anybody is told, so that what is told may submit. The array begins
anew whenever it is empty, which is after each whole dispatch.
"""

cimport cython

from libc.stdlib cimport free

from zcloop._native.channel.resized cimport resized

# Entries of a new channel: 4 KiB. Each time they do not suffice there are twice as many; the ring's
# completion queue bounds what one turn brings.
cdef uint32_t CAPACITY_MIN = 256


@cython.final
cdef class Completions:
    def __cinit__(self):
        self.grow()

    def __dealloc__(self):
        free(self.queued)

    cdef int grow(self) except -1:
        cdef uint32_t capacity = self.capacity * 2 if self.capacity else CAPACITY_MIN
        self.queued = <Completion *> resized(self.queued, capacity * sizeof(Completion))
        self.capacity = capacity
        return 0
