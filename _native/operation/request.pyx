"""One system call with its arguments, which the ring makes.

A request is built once and can be submitted again. The memory that the kernel reads or writes is
exported until the request is gone, so it stays where it is whatever the program does; nothing is
copied. Here is what all requests have, and those that are for no file or for any: a poll, a
timeout, a NOP, a cancel. `files` makes those for files, `network` and `message` those for sockets.
"""

from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.unistd cimport close as close_fd

from zcloop._native.kernel.cpython cimport PyMemoryView_GET_BUFFER
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport (
    OP_ACCEPT, OP_ASYNC_CANCEL, OP_NOP, OP_OPENAT, OP_READ, OP_READ_FIXED, OP_TIMEOUT, OP_WRITE,
    OP_WRITE_FIXED, TIMEOUT_ETIME_SUCCESS, kernel_timespec,
)
from zcloop._native.memory.region cimport Lease, lease_of
from zcloop._native.operation.operation cimport length_of
from zcloop._native.operation.poll cimport make_poll

# UIO_MAXIOV of the kernel, which refuses more pieces with EINVAL.
cdef int PIECES_MAX = 1024


cdef Request make_request(int opcode, int fd):
    cdef Request request = Request.__new__(Request)
    request.fd = fd
    request.sqe.opcode = opcode
    request.sqe.fd = fd
    return request


cdef class Request(Operation):
    def __cinit__(self):
        memset(&self.sqe, 0, sizeof(self.sqe))

    def __dealloc__(self):
        free(self.vector)
        if self.has_view:
            PyBuffer_Release(&self.export.view)

    def holding(self, file):
        """The request itself. It uses the fd of `file`, which it keeps until the kernel is done, so
        that the file is not closed before."""
        self.file = file
        return self

    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        memcpy(sqe, &self.sqe, sizeof(io_uring_sqe))

    cdef void discard(self, int result, uint32_t flags) noexcept:
        if self.sqe.opcode in (OP_OPENAT, OP_ACCEPT) and result >= 0:
            close_fd(result)

    cdef Region region(self):
        """The region whose memory a read or write of one buffer uses, which may be pinned; else
        None."""
        cdef const char *data
        cdef size_t size
        if not self.has_view or self.sqe.opcode not in (OP_READ, OP_WRITE):
            return None
        cdef Lease lease = lease_of(<object> self.export.view.obj, &data, &size)
        return None if lease is None else lease.region

    cdef void use_pin(self, int pin) noexcept:
        """The ring has registered the memory as its buffer `pin`; -1: it has not."""
        if pin >= 0:
            self.sqe.opcode = OP_READ_FIXED if self.sqe.opcode == OP_READ else OP_WRITE_FIXED
            self.sqe.buf_index = pin

    cdef int set_memory(self, object buffer, bint is_written) except -1:
        """The kernel is to read this buffer, or to write to it; BufferError where it cannot be."""
        if PyObject_GetBuffer(buffer, &self.export.view,
                              PyBUF_WRITABLE if is_written else PyBUF_SIMPLE) < 0:
            return -1
        self.has_view = True
        self.sqe.addr = <size_t> self.export.view.buf
        self.sqe.len = length_of(self.export.view.len)
        return 0

    cdef int set_pieces(self, object buffers, bint is_written) except -1:
        """The same of several buffers, each of which is one piece of a vectored call."""
        cdef Py_buffer *view
        cdef int index
        self.views = [memoryview(buffer) for buffer in buffers]
        if len(self.views) > PIECES_MAX:
            raise ValueError(f"{len(self.views)} pieces: the kernel takes {PIECES_MAX} a call")
        self.vector = <iovec *> calloc(len(self.views) or 1, sizeof(iovec))
        if self.vector == NULL:
            raise MemoryError("vector")
        for index, piece in enumerate(self.views):
            view = <Py_buffer *> PyMemoryView_GET_BUFFER(piece)
            if is_written and view.readonly:
                raise BufferError(f"piece {index} is read-only, and would be written to")
            if not piece.contiguous:
                raise BufferError(f"piece {index} is not contiguous")
            self.vector[index].iov_base = view.buf
            self.vector[index].iov_len = view.len
        self.sqe.addr = <size_t> self.vector
        self.sqe.len = <unsigned> len(self.views)
        return 0


def poll(int fd, uint32_t mask):
    """Wait once until a file is ready. The result is the mask of what it is ready for."""
    return make_poll(None, fd, mask)


def timeout(double seconds):
    """Wait for so many seconds, 0 to 1e9. The result is -ETIME, which is no failure here: in a
    chain the next request begins. ValueError for another time."""
    if not 0 <= seconds < 1e9:
        raise ValueError(f"a timeout of {seconds!r} seconds: it must not be negative")
    cdef Request request = make_request(OP_TIMEOUT, -1)
    cdef bytes when = bytes(sizeof(kernel_timespec))
    cdef kernel_timespec *spec = <kernel_timespec *> <char *> when
    spec.tv_sec = <long long> seconds
    spec.tv_nsec = <long long> ((seconds - <long long> seconds) * 1e9)
    request.kept = when
    request.sqe.addr = <size_t> spec
    request.sqe.len = 1
    request.sqe.timeout_flags = TIMEOUT_ETIME_SUCCESS
    return request


cdef Request make_cancel(uint64_t token):
    """Ask for the end of the request that has this user_data. Its last completion still comes."""
    cdef Request request = make_request(OP_ASYNC_CANCEL, -1)
    request.sqe.addr = token
    return request


def nop(int fd=-1):
    """Do nothing. It ends once the ring has taken all requests before it. With the fd of a file it
    also does not end before a thread is done with what it does for that file (on epoll): then the
    file may be closed, and its number may be another file's."""
    return make_request(OP_NOP, fd)


seal(Request)
