from libc.stdint cimport uint32_t

from zcloop._native.operation.operation cimport Operation
from zcloop._native.sync.futex_thread cimport FutexThread
from zcloop._native.sync.words cimport Sleep, Words


cdef class FutexWait(Operation):
    cdef Words words                # what the waited word is part of
    cdef Sleep target               # the word, and the value at which there is nothing to attempt
    cdef uint32_t nothing           # what is waited for once the words are closed
    cdef FutexThread thread         # waits in the kernel's place; None: the ring does it
    cdef readonly bint is_late      # see `begin`
    cdef int enlisted_by            # the process that counted this among the waiters; 0: none

    # The steps that differ from thing to thing; by default they are the words' own.
    cdef Sleep look(self) noexcept
    cdef int acquire(self) noexcept
    cdef bint is_contended(self) noexcept
    cdef void enlist(self) noexcept
    cdef void leave(self) noexcept
    cdef void pass_on(self) noexcept

    cdef int use(self, Words words) except -1
    cdef int refused(self) noexcept
    cdef int attempt(self) noexcept
    cdef void watch(self) noexcept
    cdef bint withdraw(self) noexcept
    cdef int sleep(self, double deadline) except? -2
