# System V semaphores: the system calls.

from zcloop._native.kernel.sysv cimport sembuf

cdef enum:
    OPERATIONS_MAX = 500        # SEMOPM by default; the kernel checks a smaller one

cdef int operate(int semid, const sembuf *operations, unsigned count) noexcept nogil
cdef unsigned read_operations(object changes, bint undo, sembuf *operations) except 0
cdef unsigned inverse(const sembuf *operations, unsigned count, sembuf *inverse) noexcept nogil
