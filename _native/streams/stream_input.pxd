from zcloop._native.loop.scheduler cimport Scheduler
from zcloop._native.streams.read_buffer cimport ReadBuffer


cdef class StreamInput(ReadBuffer):
    cdef Scheduler scheduler            # the loop, when it is ours
    # asyncio.StreamReader's own names, which its tests and some programs read.
    cdef readonly object _loop
    cdef readonly object _limit
    cdef public object _transport       # to be paused and resumed; None when it cannot be
    cdef public object _waiter          # the future of the coroutine that waits
    cdef size_t limit                   # `_limit` in bytes
    cdef size_t wanted                  # the waiter is woken when so many bytes are unread
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

    # `cut`, and resume the transport when few bytes are left.
    cdef inline bytes consume(self, size_t count):
        cdef bytes data = self.cut(count)
        if self.is_paused and self.unread <= self.limit:
            self.resume()
        return data
