from libc.stdint cimport uint64_t

from zcloop._native.memory.region cimport Lease


cdef class Pool:
    cdef list regions               # in the order they were made
    cdef public size_t limit        # bytes of all regions together
    cdef readonly size_t size
    # Of all who lend from here, or would but for a region of their own: sums of their accounts.
    cdef readonly uint64_t lent_bytes
    cdef readonly uint64_t copied_bytes
    cdef readonly uint64_t starved_bytes
    cdef readonly uint64_t growths
    cdef readonly uint64_t refusals  # takes that found nothing free and no room to grow

    cdef Lease take(self, size_t size, int use)
