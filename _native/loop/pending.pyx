"""One operation that a coroutine waits for by a future.

The future gets the kernel's number. The coroutine itself finds out what the number means, so that a
task that is cancelled before it runs has taken nothing. A cancelled future does not end the
operation: whoever cancelled it asks the channel to. The operation and its memory stay until the
kernel is done, and its result is discarded then.
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
