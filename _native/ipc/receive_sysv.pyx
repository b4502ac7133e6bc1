"""Receive a message of a System V queue: msgrcv, when there is one.

The thread only waits, and leaves the message in the queue. The asker receives it, in `settle`. An
exception is an empty message: the thread receives it, and puts it back if nobody wants it.
"""

cimport cython

from libc.errno cimport EAGAIN, ENOMEM

from zcloop._native.ipc.sysv_messages cimport return_message, receive_message, wait_for_message
from zcloop._native.ipc.blocking_call cimport BlockingCall
from zcloop._native.operation.operation cimport NOT_YET


cdef int wait(void *argument) noexcept nogil:
    cdef Wanted *wanted = <Wanted *> argument
    return wait_for_message(wanted.queue, wanted.type, wanted.flags, &wanted.received)


cdef struct Wanted:
    int queue
    long type
    int flags
    long received   # the type of an empty message that the thread received; 0: none


@cython.final
cdef class ReceiveSysv(BlockingCall):
    """The outcome is (data, type)."""

    cdef Wanted wanted
    cdef object message     # (data, type), or -errno

    def __cinit__(self, int queue, long mtype, int flags):
        self.wanted.queue = queue
        self.wanted.type = mtype
        self.wanted.flags = flags
        self.use(wait, &self.wanted)

    def __dealloc__(self):
        self.let_go()

    cdef int settle_answer(self, int answer) noexcept:
        if answer < 0:
            return answer
        if self.wanted.received:
            self.message = b"", self.wanted.received
            return 0
        try:
            self.message = receive_message(self.wanted.queue, self.wanted.type, self.wanted.flags)
        except MemoryError:
            return -ENOMEM
        if isinstance(self.message, tuple):
            return 0
        return NOT_YET if self.message == -EAGAIN else self.message

    cdef void undo(self, int result) noexcept:
        if self.wanted.received:
            return_message(self.wanted.queue, self.wanted.received)

    cdef object outcome(self, int result):
        return self.message
