from libc.stdint cimport uint64_t

from zcloop._native.memory.region cimport Lease


cdef class Pool:
    cdef list regions               # in the order they were made
    cdef public size_t limit        # bytes that all regions together may have
    cdef readonly size_t size       # bytes that they have
    # Sums of the accounts of all lenders with this pool, also where a region of theirs is used.
    cdef readonly uint64_t lent_bytes
    cdef readonly uint64_t copied_bytes
    cdef readonly uint64_t starved_bytes
    cdef readonly uint64_t growths   # regions that were made
    cdef readonly uint64_t refusals  # takes that found nothing free and no room to grow

    cdef Lease take(self, size_t size, int use)
