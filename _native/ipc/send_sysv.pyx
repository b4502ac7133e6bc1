"""Send a message to a System V queue: msgsnd, by a thread that sleeps until there is room.

The message is a copy. It cannot be taken back once it is sent. So an asker that goes has either
sent the whole message by then, or sends nothing.
"""

cimport cython

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from zcloop._native.ipc.sysv_messages cimport Message, send_message
from zcloop._native.ipc.blocking_call cimport BlockingCall


cdef struct Sent:
    int queue
    Message *message
    size_t size


cdef int send(void *argument) noexcept nogil:
    cdef Sent *sent = <Sent *> argument
    return send_message(sent.queue, sent.message, sent.size, 0)


@cython.final
cdef class SendSysv(BlockingCall):
    """The outcome is None."""

    cdef Sent sent

    def __cinit__(self, int queue, data, long mtype):
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        self.sent.message = <Message *> malloc(sizeof(long) + view.len + 1)
        if self.sent.message == NULL:
            PyBuffer_Release(&view)
            raise MemoryError("a message")
        self.sent.message.type = mtype
        memcpy(self.sent.message.data, view.buf, view.len)
        self.sent.size = view.len
        self.sent.queue = queue
        PyBuffer_Release(&view)
        self.use(send, &self.sent)

    def __dealloc__(self):
        self.let_go()
        free(self.sent.message)

    cdef object outcome(self, int result):
        return None
