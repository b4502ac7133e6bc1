"""Receive the first message of a POSIX queue: mq_receive, when there is one.

The kernel says when the queue is readable. The asker receives the message, in `settle`; if it has
gone meanwhile, nothing was received. If several wait, all are told, and one receives.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.errno cimport EAGAIN, EBADF

from zcloop._native.kernel.poll cimport POLLIN
from zcloop._native.kernel.uring cimport io_uring_sqe
from zcloop._native.operation.operation cimport NOT_YET


cdef class ReceiveQueue(Poll):
    """The outcome is (bytes, priority); with a buffer, which is filled, (size, priority)."""

    def __cinit__(self, QueueDescriptor descriptor not None, buffer=None):
        self.is_own = buffer is None
        if buffer is None:
            buffer = bytearray(descriptor.msgsize)
        PyObject_GetBuffer(buffer, &self.export.view, PyBUF_WRITABLE)
        self.descriptor = descriptor
        self.mask = POLLIN

    def __dealloc__(self):
        PyBuffer_Release(&self.export.view)

    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        self.fd = self.descriptor.fd
        Poll.prepare(self, sqe)

    cdef int settle(self, int result) noexcept:
        cdef ssize_t got
        if result < 0:
            return result
        if self.descriptor.fd < 0:      # the number may be another file's by now
            return -EBADF
        got = self.descriptor.attempt_receive(<char *> self.export.view.buf,
                                              self.export.view.len, &self.priority)
        return NOT_YET if got == -EAGAIN else <int> got

    cdef object outcome(self, int result):
        if self.is_own:
            return PyBytes_FromStringAndSize(<char *> self.export.view.buf, result), self.priority
        return result, self.priority
