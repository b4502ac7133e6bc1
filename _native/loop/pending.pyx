"""One operation that a coroutine waits for by a future.

The future gets the kernel's number; what it means the coroutine finds out itself, so that a task
which is cancelled in between has taken nothing. A cancelled future does not end the operation:
who cancelled it asks the channel to. The operation and its memory stay until the kernel is done;
what it brings then is discarded.
"""

from libc.stdint cimport uint32_t

from zcloop._native.kernel.sealed cimport seal


cdef Pending make_pending(Operation operation, object future):
    cdef Pending pending = Pending.__new__(Pending)
    pending.future = future
    operation.owner = pending
    return pending


cdef class Pending(Owner):
    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        operation.owner = None
        if self.future.done():
            operation.discard(result, flags)
        else:
            self.future.set_result(result)
        return 0


seal(Pending)
