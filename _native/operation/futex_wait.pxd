from libc.stdint cimport uint32_t

from zcloop._native.memory.words cimport Words
from zcloop._native.operation.operation cimport Operation


cdef class FutexWait(Operation):
    cdef Words words                # what the waited word is part of
    cdef uint32_t *word             # woken when it is worth another attempt
    cdef uint32_t expected          # while it holds this there is nothing to attempt
    cdef uint32_t stopped           # not 0: `wait` returns
    cdef readonly bint is_late      # see `begin`
    cdef int enlisted_by            # the process that counted this among the waiters; 0: none

    cdef int use(self, Words words) except -1
    cdef void look(self) noexcept
    cdef int take(self) noexcept
    cdef bint is_contended(self) noexcept
    cdef void enlist(self) noexcept
    cdef void leave(self) noexcept
    cdef void pass_on(self) noexcept
    cdef void watch(self) noexcept
    cdef bint withdraw(self) noexcept
    cdef int sleep(self, double deadline) except? -2
