"""A sem_t of glibc's: a named semaphore, or the semaphore behind a lock of multiprocessing.

glibc on 64-bit machines keeps value and waiters in one word, exactly as SemaphoreWords does, and
wakes that word when somebody is counted as waiting. That is no interface of glibc's, but it has not
changed since 2.21. This module tries it out when it is loaded. With another libc it raises
NotImplementedError.
"""

import os

from libc.errno cimport errno
from libc.stdint cimport uint64_t

from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.semaphore cimport (
    SEM_FAILED, sem_close, sem_open, sem_t, sem_unlink, semaphore_is_known,
)
from zcloop._native.sync.semaphore_words import VALUE_MAX as _VALUE_MAX

cdef bint _is_known = semaphore_is_known()


cdef int check_known() except -1:
    if not _is_known:
        raise NotImplementedError("this libc's sem_t is not that of 64-bit glibc: use "
                                  "zcloop.sync.Semaphore in shared memory")
    return 0


cdef bytes encoded(name):
    cdef bytes path = os.fsencode(name)
    if 0 in path:
        raise ValueError("embedded null byte")
    return path


cdef class PosixSemaphore(SemaphoreWords):
    def _open(self, name, int flags, unsigned mode, value):
        cdef bytes path = encoded(name)
        cdef sem_t *got
        check_known()
        if self.start != NULL:
            raise RuntimeError(f"this {self.name()} is made already")
        if not 0 <= value <= _VALUE_MAX:
            raise ValueError(f"a value of {value}: it must be from 0 to {_VALUE_MAX}")
        got = sem_open(path, flags, mode, value)
        if got == SEM_FAILED:
            raise_os_error(errno, repr(name))
        self.start = <char *> got
        self.is_opened = self.is_shared = True
        self.set_pointers(got)

    def _adopt(self, semlock):
        """Use the sem_t of a multiprocessing.SemLock, and keep the SemLock alive."""
        check_known()
        self.start = <char *> <size_t> semlock.handle
        self.keeper = semlock
        self.is_shared = True
        self.set_pointers(self.start)

    cdef void let_go(self) noexcept:
        if self.is_opened and self.start != NULL:
            sem_close(<sem_t *> self.start)
        SemaphoreWords.let_go(self)

    cdef uint64_t limit(self) noexcept:
        return _VALUE_MAX

    @property
    def maximum(self):
        """How many tokens there can be: SEM_VALUE_MAX."""
        return _VALUE_MAX


def unlink(name):
    """Remove the name; who has the semaphore open keeps it. OSError."""
    if sem_unlink(encoded(name)) < 0:
        raise_os_error(errno, repr(name))
