"""Acquire a thing of `zcloop.sync`: the request that waits for it.

`Acquire` does for each kind of thing what its words say. The classes below it replace a step or
two, since their things have more than one side, or books of their own:

    AcquireLock      of Python's multiprocessing, by a wait on its sem_t
    AcquireReader    a lock's side for reading
    AcquireWriter    a lock's side for writing
"""

cimport cython

from libc.errno cimport EAGAIN, EINVAL
from libc.stdint cimport uint32_t

from zcloop._native.kernel.errors cimport EOWNERDEAD
from zcloop._native.kernel.futex cimport add32, load32
from zcloop._native.sync.futex_wait cimport FutexWait
from zcloop._native.sync.lock_words cimport LockWords
from zcloop._native.sync.mutex_words cimport HELD
from zcloop._native.sync.posix_semaphore cimport PosixSemaphore
from zcloop._native.sync.words cimport Sleep, Words

# SemLock.kind of an RLock.
cdef int RECURSIVE = 0


@cython.no_gc_clear     # as its base
cdef class Acquire(FutexWait):
    """Acquire a semaphore or a mutex.

    The result -EOWNERDEAD says that it is acquired, and that its last holder died holding it.
    """

    def __cinit__(self, Words words not None):
        self.use(words)


@cython.no_gc_clear     # as its base
cdef class AcquireLock(Acquire):
    """Acquire a lock or semaphore of Python's multiprocessing.

    The attempt is `SemLock.acquire(False)` in the thread that asks, so that the SemLock counts
    itself how often it was acquired, and by which thread: `release` of an RLock asks that. An RLock
    belongs to a thread, and so to every task of a loop.
    """

    cdef object semlock

    def __cinit__(self, PosixSemaphore words not None):
        self.semlock = words.keeper

    cdef int acquire(self) noexcept:
        try:
            return 0 if self.semlock.acquire(False) else -EAGAIN
        except Exception:
            return -EINVAL      # the only other error of sem_trywait

    cdef bint is_contended(self) noexcept:
        try:
            if self.semlock.kind == RECURSIVE and self.semlock._is_mine():
                return False        # to acquire it once more needs no token
        except Exception:
            return False
        return Acquire.is_contended(self)


@cython.no_gc_clear     # as its base
cdef class AcquireReader(Acquire):
    """Come in as a reader. -EOWNERDEAD when a writer died; then nothing is acquired."""

    def __cinit__(self, LockWords words not None):
        pass

    cdef Sleep look(self) noexcept:
        cdef LockWords words = <LockWords> self.words
        cdef Sleep target
        target.word = words.reader_turn
        # The turn is read before the holder: it moves after the holder has gone.
        target.expected = load32(target.word)
        if not words.who() & HELD:
            target.expected = ~target.expected
        return target

    cdef int acquire(self) noexcept:
        return (<LockWords> self.words).enter()

    cdef bint is_contended(self) noexcept:
        return False        # any number may read

    cdef void enlist(self) noexcept:
        add32((<LockWords> self.words).waiting_readers, 1)

    cdef void leave(self) noexcept:
        add32((<LockWords> self.words).waiting_readers, <uint32_t> -1)

    cdef void pass_on(self) noexcept:
        pass                # every reader is woken


@cython.no_gc_clear     # as its base
cdef class AcquireWriter(Acquire):
    """Come in as the writer: acquire the mutex, so that no more readers come, and then wait until
    those who read have gone. -EOWNERDEAD: it is acquired, and a writer before died in it."""

    cdef bint has_mutex             # and waits for the readers
    cdef bint is_from_the_dead

    def __cinit__(self, LockWords words not None):
        pass

    cdef Sleep look(self) noexcept:
        cdef LockWords words = <LockWords> self.words
        cdef Sleep target
        if not self.has_mutex:
            return words.look()
        target.word = words.departures
        target.expected = load32(target.word)
        if words.is_empty():
            target.expected = ~target.expected
        return target

    cdef int acquire(self) noexcept:
        cdef LockWords words = <LockWords> self.words
        cdef int got
        if not self.has_mutex:
            got = words.acquire()
            if got < 0 and got != -EOWNERDEAD:
                return got
            self.is_from_the_dead = got == -EOWNERDEAD
            self.has_mutex = True
            self.watch()        # so that its end, whatever that is, gives the mutex back
        if not words.is_empty():
            return -EAGAIN
        self.has_mutex = False
        return -EOWNERDEAD if self.is_from_the_dead else 0

    cdef void leave(self) noexcept:
        Acquire.leave(self)
        if self.has_mutex:
            self.has_mutex = False
            (<LockWords> self.words).release(self.is_from_the_dead)
