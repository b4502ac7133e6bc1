"""Take a lock or semaphore of Python's own multiprocessing, by a wait on its sem_t.

The take is `SemLock.acquire(False)` in the thread that asks, so that its own books are right: how
often it was acquired, and by which thread, which `release` of an RLock asks. An RLock belongs to
a thread: to all of a loop's tasks alike.
"""

cimport cython

from libc.errno cimport EAGAIN, EINVAL

from zcloop._native.sync.posix_semaphore cimport PosixSemaphore
from zcloop._native.sync.acquire_semaphore cimport AcquireSemaphore

cdef int RECURSIVE = 0      # SemLock.kind of an RLock


@cython.no_gc_clear     # as its base
cdef class AcquireLock(AcquireSemaphore):
    cdef object semlock

    def __cinit__(self, PosixSemaphore words not None):
        self.semlock = words.keeper

    cdef int take(self) noexcept:
        try:
            return 0 if self.semlock.acquire(False) else -EAGAIN
        except Exception:
            return -EINVAL      # what sem_trywait knows besides EAGAIN

    cdef bint is_contended(self) noexcept:
        try:
            if self.semlock.kind == RECURSIVE and self.semlock._is_mine():
                return False        # once more, which needs no token
        except Exception:
            return False
        return AcquireSemaphore.is_contended(self)
