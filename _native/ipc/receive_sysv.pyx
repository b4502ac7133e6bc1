"""Take a message of a System V queue: msgrcv, when there is one.

The thread only waits (the kernel leaves the message where it is); the message is taken by who
asked, in `settle`. Only an empty one comes with the thread, and is put back if nobody wants it.
"""

cimport cython

from libc.errno cimport EAGAIN, ENOMEM

from zcloop._native.ipc.sysv_messages cimport put_back, take_message, wait_for_message
from zcloop._native.ipc.blocking_call cimport BlockingCall
from zcloop._native.operation.operation cimport NOT_YET


cdef int wait(void *argument) noexcept nogil:
    cdef Wanted *wanted = <Wanted *> argument
    return wait_for_message(wanted.queue, wanted.type, wanted.flags, &wanted.taken)


cdef struct Wanted:
    int queue
    long type
    int flags
    long taken      # the type of an empty message that came with the thread; 0: none


@cython.final
cdef class ReceiveSysv(BlockingCall):
    """The outcome is (data, type)."""

    cdef Wanted wanted
    cdef object message

    def __cinit__(self, int queue, long mtype, int flags):
        self.wanted.queue = queue
        self.wanted.type = mtype
        self.wanted.flags = flags
        self.use(wait, &self.wanted)

    def __dealloc__(self):
        self.let_go()

    cdef int take(self, int result) noexcept:
        if result < 0:
            return result
        if self.wanted.taken:
            self.message = b"", self.wanted.taken
            return 0
        try:
            self.message = take_message(self.wanted.queue, self.wanted.type, self.wanted.flags)
        except MemoryError:
            return -ENOMEM
        if isinstance(self.message, tuple):
            return 0
        return NOT_YET if self.message == -EAGAIN else self.message

    cdef void undo(self, int result) noexcept:
        if self.wanted.taken:
            put_back(self.wanted.queue, self.wanted.taken)

    cdef object outcome(self, int result):
        return self.message
