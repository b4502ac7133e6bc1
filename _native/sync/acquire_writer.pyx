"""Come in as the writer: take the mutex, so that no reader comes any more, then wait until those
who read have gone. -EOWNERDEAD says that it is taken, and that a writer before died in it."""

cimport cython

from libc.errno cimport EAGAIN
from libc.stdint cimport uint32_t

from zcloop._native.kernel.errors cimport EOWNERDEAD
from zcloop._native.kernel.futex cimport load32
from zcloop._native.sync.lock_words cimport LockWords
from zcloop._native.sync.mutex_words cimport FROM_THE_DEAD, HELD
from zcloop._native.sync.futex_wait cimport FutexWait


@cython.no_gc_clear     # as its base
cdef class AcquireWriter(FutexWait):
    cdef bint has_mutex             # and waits for the readers
    cdef bint is_from_the_dead

    def __cinit__(self, LockWords words not None):
        self.use(words)

    cdef void look(self) noexcept:
        cdef LockWords words = <LockWords> self.words
        if self.has_mutex:
            self.word = words.departures
            self.expected = load32(self.word)
            if words.is_empty():
                self.expected = ~self.expected
        else:
            self.word = words.word
            self.expected = <uint32_t> words.who()
            if not self.expected & HELD:
                self.expected = ~self.expected

    cdef int take(self) noexcept:
        cdef LockWords words = <LockWords> self.words
        cdef int got
        if not self.has_mutex:
            got = words.take()
            if got < 0:
                return got
            self.is_from_the_dead = got == FROM_THE_DEAD
            self.has_mutex = True
            self.watch()        # so that its end, whatever that is, gives the mutex back
        if not words.is_empty():
            return -EAGAIN
        self.has_mutex = False
        return -EOWNERDEAD if self.is_from_the_dead else 0

    cdef bint is_contended(self) noexcept:
        return (<LockWords> self.words).has_waiters()

    cdef void enlist(self) noexcept:
        (<LockWords> self.words).enlist()

    cdef void leave(self) noexcept:
        (<LockWords> self.words).leave()
        if self.has_mutex:
            self.has_mutex = False
            (<LockWords> self.words).give(self.is_from_the_dead)

    cdef void pass_on(self) noexcept:
        (<LockWords> self.words).pass_on()
