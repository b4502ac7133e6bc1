from libc.stdint cimport uint64_t

from zcloop._native.memory.region cimport Lease


cdef class Pool:
    cdef list regions               # in the order they were made
    cdef public size_t limit        # bytes of all regions together
    cdef readonly size_t size
    cdef readonly uint64_t growths
    cdef readonly uint64_t refusals  # takes that found nothing free and no room to grow

    cdef Lease take(self, size_t size, int use)
