from libc.stdint cimport uint32_t, uint64_t

from zcloop._native.sync.words cimport Words


cdef class SemaphoreWords(Words):
    cdef uint64_t *data             # the value; from bit 32 on, how many wait
    cdef uint32_t *word             # the half of `data` that holds the value

    cdef int set_pointers(self, void *data) except -1
    cdef uint64_t limit(self) noexcept
