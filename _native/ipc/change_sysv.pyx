"""Change System V semaphores: semop, by a thread that sleeps in it, in the kernel's own order.

The thread makes the change itself. If the asker made it after a wait, others that sleep in semop
would always come first. A change that nobody wants any more is taken back, if that needs no
waiting. To take back an acquire never waits. What a change released may have been acquired by
another since; then it stays released.
"""

cimport cython

from zcloop._native.ipc.sysv_semaphores cimport (
    OPERATIONS_MAX, inverse, operate, read_operations, sembuf,
)
from zcloop._native.ipc.blocking_call cimport BlockingCall


cdef struct Changes:
    int semid
    unsigned count
    sembuf[OPERATIONS_MAX] operations


cdef int change(void *argument) noexcept nogil:
    cdef Changes *changes = <Changes *> argument
    return operate(changes.semid, changes.operations, changes.count)


@cython.final
cdef class ChangeSysv(BlockingCall):
    """The outcome is None."""

    cdef Changes changes

    def __cinit__(self, int semid, changes, bint undo):
        self.changes.semid = semid
        self.changes.count = read_operations(changes, undo, self.changes.operations)
        self.use(change, &self.changes)

    def __dealloc__(self):
        self.let_go()

    cdef void undo(self, int result) noexcept:
        cdef sembuf[OPERATIONS_MAX] back
        cdef unsigned count = inverse(self.changes.operations, self.changes.count, back)
        if count:
            operate(self.changes.semid, back, count)

    cdef object outcome(self, int result):
        return None
