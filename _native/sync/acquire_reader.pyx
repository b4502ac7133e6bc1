"""Come in as a reader; -EOWNERDEAD when a writer died, and nothing is taken then."""

cimport cython

from libc.stdint cimport uint32_t

from zcloop._native.kernel.futex cimport add32, load32
from zcloop._native.sync.lock_words cimport LockWords
from zcloop._native.sync.mutex_words cimport HELD
from zcloop._native.sync.futex_wait cimport FutexWait


@cython.no_gc_clear     # as its base
cdef class AcquireReader(FutexWait):
    def __cinit__(self, LockWords words not None):
        self.use(words)

    cdef void look(self) noexcept:
        cdef LockWords words = <LockWords> self.words
        self.word = words.reader_turn
        # The turn first: it moves after the holder has gone.
        self.expected = load32(self.word)
        if not words.who() & HELD:
            self.expected = ~self.expected

    cdef int take(self) noexcept:
        return (<LockWords> self.words).enter()

    cdef void enlist(self) noexcept:
        add32((<LockWords> self.words).waiting_readers, 1)

    cdef void leave(self) noexcept:
        add32((<LockWords> self.words).waiting_readers, <uint32_t> -1)
