from libc.stdint cimport uint32_t, uint64_t

from zcloop._native.sync.words cimport Words


cdef class BarrierWords(Words):
    cdef uint64_t *state
    cdef uint32_t *word             # the half of `state` that is the round

    cdef int set_pointers(self) except -1
    cdef int arrive(self, uint32_t *round_) noexcept nogil
    cdef int passed(self, uint32_t round_, int place) noexcept nogil
    cdef void depart(self, uint32_t round_) noexcept nogil
    cdef int end_round(self, bint is_broken) except -1
