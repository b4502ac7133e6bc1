from libc.stdint cimport uint32_t, uint64_t

from zcloop._native.sync.mutex_words cimport MutexWords


cdef class LockWords(MutexWords):
    cdef uint32_t *waiting_readers
    cdef uint32_t *reader_turn      # readers sleep on it; moves when they may come in
    cdef uint32_t *departures       # the mutex's holder sleeps on it; a reader that goes moves it
    cdef uint64_t *readers          # PROCESSES words, one for each process that ever read

    cdef int enter(self) noexcept nogil
    cdef int depart(self) noexcept nogil
    cdef bint is_empty(self) noexcept nogil
    cdef uint64_t *place(self) noexcept nogil
    cdef bint claim(self, uint64_t *place, bint from_the_dead) noexcept nogil
    cdef bint forget_dead_readers(self) noexcept nogil
    cdef void wake_readers(self) noexcept nogil
