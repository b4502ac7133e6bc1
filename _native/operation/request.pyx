"""One system call with its arguments, which the ring makes: files, and what a channel is asked for.

The call is built once and can be submitted again. The memory that the kernel reads or writes is
exported until the request is gone, so it stays where it is whatever the program does; nothing is
copied.
"""

import os

from cpython.buffer cimport (
    PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from libc.stdint cimport uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.unistd cimport close as close_fd

from zcloop._native.kernel.cpython cimport PyMemoryView_GET_BUFFER
from zcloop._native.kernel.fcntl cimport AT_EMPTY_PATH, AT_FDCWD
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport (
    FSYNC_DATASYNC, OP_ACCEPT, OP_ASYNC_CANCEL, OP_CLOSE, OP_FALLOCATE, OP_FSYNC, OP_FTRUNCATE,
    OP_NOP, OP_OPENAT, OP_READ, OP_READV, OP_READ_FIXED, OP_SPLICE, OP_STATX,
    OP_TIMEOUT, OP_WRITE, OP_WRITEV, OP_WRITE_FIXED, TIMEOUT_ETIME_SUCCESS, kernel_timespec,
)
from zcloop._native.memory.region cimport Lease, lease_of
from zcloop._native.operation.operation cimport length_of
from zcloop._native.operation.poll cimport make_poll
from zcloop._native.operation.wait_child import WaitChild

# UIO_MAXIOV: more pieces are refused with EINVAL.
cdef int PIECES_MAX = 1024


cdef Request make_request(int opcode, int fd):
    cdef Request request = Request.__new__(Request)
    request.fd = fd
    request.sqe.opcode = opcode
    request.sqe.fd = fd
    return request


cdef int check_offset(int64_t offset) except -1:
    if offset < -1:
        raise ValueError(f"negative offset {offset}: it counts from the start of the file, "
                         "and -1 means the file's own position")
    return 0


cdef class Request(Operation):
    def __cinit__(self):
        memset(&self.sqe, 0, sizeof(self.sqe))

    def __dealloc__(self):
        free(self.vector)
        if self.has_view:
            PyBuffer_Release(&self.export.view)

    def holding(self, file):
        """Itself; `file`, whose fd it uses, is kept until the kernel is done."""
        self.file = file
        return self

    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        memcpy(sqe, &self.sqe, sizeof(io_uring_sqe))

    cdef void discard(self, int result, uint32_t flags) noexcept:
        if self.sqe.opcode in (OP_OPENAT, OP_ACCEPT) and result >= 0:
            close_fd(result)

    cdef Region region(self):
        """Whose memory this reads or writes, or None: it may be pinned."""
        cdef const char *data
        cdef size_t size
        if not self.has_view or self.sqe.opcode not in (OP_READ, OP_WRITE):
            return None
        cdef Lease lease = lease_of(<object> self.export.view.obj, &data, &size)
        return None if lease is None else lease.region

    cdef void use_pin(self, int pin) noexcept:
        """Its memory is the ring's registered buffer `pin`."""
        if pin >= 0:
            self.sqe.opcode = OP_READ_FIXED if self.sqe.opcode == OP_READ else OP_WRITE_FIXED
            self.sqe.buf_index = pin

    cdef int set_memory(self, object buffer, bint is_written) except -1:
        if PyObject_GetBuffer(buffer, &self.export.view,
                              PyBUF_WRITABLE if is_written else PyBUF_SIMPLE) < 0:
            return -1
        self.has_view = True
        self.sqe.addr = <size_t> self.export.view.buf
        self.sqe.len = length_of(self.export.view.len)
        return 0

    cdef int set_pieces(self, object buffers, bint is_written) except -1:
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


def read(int fd, buffer, int64_t offset=-1, int flags=0):
    """Into a writable buffer; at `offset`, or with -1 at the file's own position."""
    check_offset(offset)
    cdef Request request = make_request(OP_READ, fd)
    request.set_memory(buffer, True)
    request.sqe.off = <uint64_t> offset
    request.sqe.rw_flags = flags
    return request


def write(int fd, buffer, int64_t offset=-1, int flags=0):
    """From any buffer, which must not change meanwhile."""
    check_offset(offset)
    cdef Request request = make_request(OP_WRITE, fd)
    request.set_memory(buffer, False)
    request.sqe.off = <uint64_t> offset
    request.sqe.rw_flags = flags
    return request


def readv(int fd, buffers, int64_t offset=-1, int flags=0):
    """Into several buffers in turn."""
    check_offset(offset)
    cdef Request request = make_request(OP_READV, fd)
    request.set_pieces(buffers, True)
    request.sqe.off = <uint64_t> offset
    request.sqe.rw_flags = flags
    return request


def writev(int fd, buffers, int64_t offset=-1, int flags=0):
    """From several buffers in turn."""
    check_offset(offset)
    cdef Request request = make_request(OP_WRITEV, fd)
    request.set_pieces(buffers, False)
    request.sqe.off = <uint64_t> offset
    request.sqe.rw_flags = flags
    return request


def fsync(int fd, bint data_only=False):
    cdef Request request = make_request(OP_FSYNC, fd)
    request.sqe.fsync_flags = FSYNC_DATASYNC if data_only else 0
    return request


def fallocate(int fd, int mode, int64_t offset, int64_t length):
    cdef Request request = make_request(OP_FALLOCATE, fd)
    request.sqe.off = <uint64_t> offset
    request.sqe.addr = <uint64_t> length
    request.sqe.len = mode
    return request


def ftruncate(int fd, int64_t length):
    """Since Linux 6.9; -EINVAL before."""
    cdef Request request = make_request(OP_FTRUNCATE, fd)
    request.sqe.off = <uint64_t> length
    return request


def openat(path, int flags, unsigned mode=0o777, int dir_fd=AT_FDCWD):
    """The result is a new fd, close-on-exec, closed again if nobody wants it any more."""
    cdef bytes name = os.fsencode(path)
    if 0 in name:
        raise ValueError("embedded null byte")
    cdef Request request = make_request(OP_OPENAT, dir_fd)
    request.kept = name
    request.sqe.addr = <size_t> <const char *> name
    request.sqe.len = mode
    request.sqe.open_flags = flags | os.O_CLOEXEC
    return request


def close(int fd):
    return make_request(OP_CLOSE, fd)


def statx(buffer, path=b"", int dir_fd=AT_FDCWD, int flags=0, unsigned mask=0x7FF):
    """Into `buffer`, 256 writable bytes that get a struct statx; with no path of `dir_fd`."""
    cdef bytes name = os.fsencode(path)
    if 0 in name:
        raise ValueError("embedded null byte")
    cdef Request request = make_request(OP_STATX, dir_fd)
    request.set_memory(buffer, True)
    if request.export.view.len < 256:
        raise ValueError("a struct statx takes 256 bytes")
    request.kept = name
    request.sqe.off = <size_t> request.export.view.buf
    request.sqe.addr = <size_t> <const char *> name
    request.sqe.len = mask
    request.sqe.statx_flags = flags | (0 if name else AT_EMPTY_PATH)
    return request


def splice(int source, int64_t source_offset, int target, int64_t target_offset, unsigned size,
           unsigned flags=0):
    """Move bytes between two fds of which one is a pipe; -1 for a pipe's offset."""
    cdef Request request = make_request(OP_SPLICE, target)
    request.sqe.splice_fd_in = source
    request.sqe.splice_off_in = <uint64_t> source_offset
    request.sqe.off = <uint64_t> target_offset
    request.sqe.len = size
    request.sqe.splice_flags = flags
    return request


def poll(int fd, uint32_t mask):
    return make_poll(None, fd, mask)


def timeout(double seconds):
    """Ends with -ETIME, which is no failure, nor one that breaks a link."""
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
    cdef Request request = make_request(OP_ASYNC_CANCEL, -1)
    request.sqe.addr = token
    return request


def nop(int fd=-1):
    """Nothing, in order: it ends once the channel has taken all requests before it. With the fd of
    a file, also not before a thread is done with what it does for that file: then it may be closed,
    and the number be another's."""
    return make_request(OP_NOP, fd)


def wait_child(int pid):
    """The end of a child of this process, which is reaped: the outcome is as os.waitid's.

    ProcessLookupError, or ChildProcessError for a process that is not this one's child.
    """
    return WaitChild(pid)


seal(Request)
