from libc.stdint cimport uint32_t, uint64_t

from zcloop._native.sync.words cimport Kind, Words

cdef enum:
    HELD = 1 << 30          # in the holder's word, and in its half that waiters sleep on


cdef class MutexWords(Words):
    cdef uint64_t *holder
    cdef uint32_t *word             # the half of `holder` that says whether it is held
    cdef uint32_t *waiters

    cdef int set_pointers(self) except -1
    cdef Kind kind(self) noexcept nogil
    cdef size_t size(self) noexcept nogil
    cdef void release(self, bint is_left_by_the_dead) noexcept nogil
    cdef int check_mine(self) except -1
    cdef uint64_t me(self) noexcept nogil
    cdef bint has_died(self, uint64_t identity) noexcept nogil
    cdef uint64_t who(self) noexcept nogil
    cdef void wake(self) noexcept nogil
