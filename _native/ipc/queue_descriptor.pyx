"""A POSIX message queue that is open: the descriptor, and the system calls on it.

Only opening raises. The other methods return -errno: the caller knows more to say about it. What
must not wait is a timed call with a deadline long past. So it never waits, whether the queue has
O_NONBLOCK or not, and O_NONBLOCK keeps its meaning for the blocking calls.
"""

from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, EINTR, ETIMEDOUT, errno
from libc.stdlib cimport free, malloc
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec
from posix.unistd cimport close

from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.mqueue cimport (
    mq_attr, mq_getattr, mq_open, mq_receive, mq_send, mq_setattr, mq_timedreceive, mq_timedsend,
    mq_unlink,
)

# A longer timeout is cut to these 30 years, which a timespec holds.
cdef double SECONDS_MAX = 1e9


cdef timespec deadline_of(double seconds) noexcept:
    """So many seconds from now, on CLOCK_REALTIME, by which mq_timedreceive(3) measures."""
    cdef timespec deadline
    clock_gettime(CLOCK_REALTIME, &deadline)
    seconds = min(max(seconds, 0), SECONDS_MAX)
    deadline.tv_sec += <long> seconds
    deadline.tv_nsec += <long> ((seconds - <long> seconds) * 1e9)
    if deadline.tv_nsec >= 1000000000:
        deadline.tv_sec += 1
        deadline.tv_nsec -= 1000000000
    return deadline


cdef class QueueDescriptor:
    """Opens a queue, or makes it with room for `maxmsg` messages of `msgsize` bytes; 0 for the
    system's defaults. OSError."""

    def __cinit__(self, bytes name not None, int flags, unsigned mode, long maxmsg, long msgsize):
        cdef mq_attr wanted
        wanted.mq_flags = wanted.mq_curmsgs = 0
        wanted.mq_maxmsg = maxmsg
        wanted.mq_msgsize = msgsize
        self.fd = mq_open(<const char *> name, flags, mode, &wanted if maxmsg else NULL)
        if self.fd < 0:
            raise_os_error(errno, None)
        self.is_open = True
        _, self.maxmsg, self.msgsize, _ = self.attributes()
        self.received = <char *> malloc(self.msgsize)
        if self.received == NULL:
            raise MemoryError("message queue")

    def __dealloc__(self):
        self.close()
        free(self.received)

    def close(self):
        """Close the descriptor. Idempotent."""
        cdef int fd = self.fd
        self.fd = -1
        if self.is_open:        # else opening failed, which leaves 0 as the fd
            self.is_open = False
            close(fd)

    def attributes(self):
        """flags, maxmsg, msgsize, and how many messages there are. OSError."""
        cdef mq_attr now
        if mq_getattr(self.fd, &now) < 0:
            raise_os_error(errno, None)
        return now.mq_flags, now.mq_maxmsg, now.mq_msgsize, now.mq_curmsgs

    def set_flags(self, long flags):
        """Set O_NONBLOCK, or 0; the attributes before. OSError."""
        cdef mq_attr wanted, old
        wanted.mq_flags = flags
        wanted.mq_maxmsg = wanted.mq_msgsize = wanted.mq_curmsgs = 0
        if mq_setattr(self.fd, &wanted, &old) < 0:
            raise_os_error(errno, None)
        return old.mq_flags, old.mq_maxmsg, old.mq_msgsize, old.mq_curmsgs

    cdef ssize_t attempt_receive(self, char *buffer, size_t size, unsigned *priority) noexcept:
        cdef timespec past
        cdef ssize_t got
        past.tv_sec = past.tv_nsec = 0
        while True:
            got = mq_timedreceive(self.fd, buffer, size, priority, &past)
            if got >= 0:
                return got
            if errno != EINTR:
                return -EAGAIN if errno == ETIMEDOUT else -errno

    cdef int attempt_send(self, const char *data, size_t size, unsigned priority) noexcept:
        cdef timespec past
        past.tv_sec = past.tv_nsec = 0
        while mq_timedsend(self.fd, data, size, priority, &past) < 0:
            if errno != EINTR:
                return -EAGAIN if errno == ETIMEDOUT else -errno
        return 0

    def receive(self):
        """Receive a message that is there: (bytes, priority), or -errno."""
        cdef unsigned priority
        cdef ssize_t got = self.attempt_receive(self.received, self.msgsize, &priority)
        if got < 0:
            return got
        return PyBytes_FromStringAndSize(self.received, got), priority

    def receive_into(self, buffer):
        """Receive a message that is there into `buffer`: (size, priority), or -errno."""
        cdef Py_buffer view
        cdef unsigned priority
        cdef ssize_t got
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        got = self.attempt_receive(<char *> view.buf, view.len, &priority)
        PyBuffer_Release(&view)
        if got < 0:
            return got
        return got, priority

    def send(self, data, unsigned priority):
        """Send a message now: 0 or -errno."""
        cdef Py_buffer view
        cdef int got
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        got = self.attempt_send(<char *> view.buf, view.len, priority)
        PyBuffer_Release(&view)
        return got

    def receive_blocking(self, buffer, timeout):
        """Wait for a message, up to `timeout` seconds or for ever (None), and receive it into
        `buffer`: (size, priority), or -errno. It lets go of the GIL, and runs signal handlers."""
        cdef Py_buffer view
        cdef timespec deadline
        cdef bint is_timed = timeout is not None
        cdef unsigned priority = 0
        cdef ssize_t got
        cdef int fd
        if is_timed:
            deadline = deadline_of(timeout)
        PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE)
        try:
            while True:
                fd = self.fd
                with nogil:
                    if is_timed:
                        got = mq_timedreceive(fd, <char *> view.buf, view.len, &priority,
                                              &deadline)
                    else:
                        got = mq_receive(fd, <char *> view.buf, view.len, &priority)
                    if got < 0:
                        got = -errno
                if got >= 0:
                    return got, priority
                if got != -EINTR:
                    return got
                PyErr_CheckSignals()
        finally:
            PyBuffer_Release(&view)

    def send_blocking(self, data, unsigned priority, timeout):
        """Wait for room, up to `timeout` seconds or for ever (None), and send: 0 or -errno. It lets
        go of the GIL, and runs signal handlers."""
        cdef Py_buffer view
        cdef timespec deadline
        cdef bint is_timed = timeout is not None
        cdef int got, fd
        if is_timed:
            deadline = deadline_of(timeout)
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            while True:
                fd = self.fd
                with nogil:
                    if is_timed:
                        got = mq_timedsend(fd, <char *> view.buf, view.len, priority, &deadline)
                    else:
                        got = mq_send(fd, <char *> view.buf, view.len, priority)
                    if got < 0:
                        got = -errno
                if got != -EINTR:
                    return got
                PyErr_CheckSignals()
        finally:
            PyBuffer_Release(&view)


def unlink(bytes name not None):
    """Remove a queue's name; OSError."""
    if mq_unlink(<const char *> name) < 0:
        raise_os_error(errno, None)
