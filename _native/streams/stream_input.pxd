from zcloop._native.loop.scheduler cimport Scheduler
from zcloop._native.streams.read_buffer cimport ReadBuffer


cdef class StreamInput(ReadBuffer):
    cdef Scheduler scheduler            # the loop, when it is ours
    # asyncio.StreamReader's own names, which its tests and some programs read.
    cdef readonly object _loop
    cdef readonly object _limit
    cdef public object _transport       # to be paused and resumed; None when it cannot be
    cdef public object _waiter          # the future of who waits
    cdef size_t limit
    cdef size_t wanted                  # bytes unread from which on the waiter is to be woken
    cdef object error                   # what set_exception() was given
    cdef bint is_eof
    cdef bint is_paused
    cdef dict __dict__
    cdef object __weakref__

    cdef int feed(self, bytes data) except -1
    cdef int wake(self) except -1
    cdef int pause(self) except -1
    cdef int resume(self) except -1
    cdef object wait(self, size_t wanted, str caller)

    cdef inline bytes take(self, size_t count):
        cdef bytes taken = self.cut(count)
        if self.is_paused and self.unread <= self.limit:
            self.resume()
        return taken
