"""Take a token of a semaphore: sem_wait."""

cimport cython

from zcloop._native.sync.semaphore_words cimport SemaphoreWords


@cython.no_gc_clear     # as its base
cdef class AcquireSemaphore(FutexWait):
    def __cinit__(self, SemaphoreWords words not None):
        self.use(words)

    cdef void look(self) noexcept:
        self.word = (<SemaphoreWords> self.words).word
        self.expected = 0

    cdef int take(self) noexcept:
        return (<SemaphoreWords> self.words).take()

    cdef bint is_contended(self) noexcept:
        return (<SemaphoreWords> self.words).has_waiters()

    cdef void enlist(self) noexcept:
        (<SemaphoreWords> self.words).enlist()

    cdef void leave(self) noexcept:
        (<SemaphoreWords> self.words).leave()

    cdef void pass_on(self) noexcept:
        (<SemaphoreWords> self.words).pass_on()
