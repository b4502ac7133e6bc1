"""Send a message to a POSIX queue: mq_send, when there is room.

The kernel says when the queue has room. The asker sends the message, in `settle`; if it has gone
meanwhile, nothing is sent.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.errno cimport EAGAIN, EBADF

from zcloop._native.kernel.poll cimport POLLOUT
from zcloop._native.kernel.uring cimport io_uring_sqe
from zcloop._native.operation.operation cimport NOT_YET


cdef class SendQueue(Poll):
    """The outcome is None. The data is not copied, and must not change meanwhile."""

    def __cinit__(self, QueueDescriptor descriptor not None, data, unsigned priority=0):
        PyObject_GetBuffer(data, &self.export.view, PyBUF_SIMPLE)
        self.descriptor = descriptor
        self.priority = priority
        self.mask = POLLOUT

    def __dealloc__(self):
        PyBuffer_Release(&self.export.view)

    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        self.fd = self.descriptor.fd
        Poll.prepare(self, sqe)

    cdef int settle(self, int result) noexcept:
        if result < 0:
            return result
        if self.descriptor.fd < 0:      # the number may be another file's by now
            return -EBADF
        result = self.descriptor.attempt_send(<char *> self.export.view.buf,
                                              self.export.view.len, self.priority)
        return NOT_YET if result == -EAGAIN else result

    cdef object outcome(self, int result):
        return None
