"""Take a mutex; -EOWNERDEAD says that it is taken, and that its last holder died holding it."""

cimport cython

from libc.stdint cimport uint32_t, uint64_t

from zcloop._native.kernel.errors cimport EOWNERDEAD
from zcloop._native.sync.mutex_words cimport FROM_THE_DEAD, HELD, MutexWords
from zcloop._native.sync.futex_wait cimport FutexWait


@cython.no_gc_clear     # as its base
cdef class AcquireMutex(FutexWait):
    def __cinit__(self, MutexWords words not None):
        self.use(words)

    cdef void look(self) noexcept:
        cdef MutexWords words = <MutexWords> self.words
        cdef uint64_t holder = words.who()
        self.word = words.word
        # A free one is not waited for: the kernel finds another value, and says so at once.
        self.expected = <uint32_t> holder if holder & HELD else ~<uint32_t> holder

    cdef int take(self) noexcept:
        cdef int got = (<MutexWords> self.words).take()
        return -EOWNERDEAD if got == FROM_THE_DEAD else got

    cdef bint is_contended(self) noexcept:
        return (<MutexWords> self.words).has_waiters()

    cdef void enlist(self) noexcept:
        (<MutexWords> self.words).enlist()

    cdef void leave(self) noexcept:
        (<MutexWords> self.words).leave()

    cdef void pass_on(self) noexcept:
        (<MutexWords> self.words).pass_on()
