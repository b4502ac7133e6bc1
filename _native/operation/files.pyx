"""What a file is asked for by one system call of the ring: to be read, written, opened, closed.

Every function makes a request and submits nothing. The memory that the kernel reads or writes is
exported until the request is gone; nothing is copied. ValueError for an offset below -1, and what a
buffer raises that cannot be exported so.
"""

import os

from libc.stdint cimport int64_t, uint64_t

from zcloop._native.kernel.fcntl cimport AT_FDCWD
from zcloop._native.kernel.uring cimport (
    FSYNC_DATASYNC, OP_CLOSE, OP_FALLOCATE, OP_FSYNC, OP_FTRUNCATE, OP_OPENAT, OP_READ, OP_READV,
    OP_SPLICE, OP_WRITE, OP_WRITEV,
)
from zcloop._native.operation.request cimport Request, make_request


cdef Request make_transfer(int opcode, int fd, object data, int64_t offset, int flags):
    """A request to read into `data`, or to write it: one buffer, or several for a vectored call."""
    cdef bint is_read = opcode == OP_READ or opcode == OP_READV
    cdef Request request
    if offset < -1:
        raise ValueError(f"negative offset {offset}: it counts from the start of the file, "
                         "and -1 means the file's own position")
    request = make_request(opcode, fd)
    if opcode == OP_READV or opcode == OP_WRITEV:
        request.set_pieces(data, is_read)
    else:
        request.set_memory(data, is_read)
    request.sqe.off = <uint64_t> offset
    request.sqe.rw_flags = flags
    return request


def read(int fd, buffer, int64_t offset=-1, int flags=0):
    """Read into a writable buffer, at `offset` bytes or with -1 at the file's own position. The
    result is how many bytes came; 0 is the end of the file."""
    return make_transfer(OP_READ, fd, buffer, offset, flags)


def write(int fd, buffer, int64_t offset=-1, int flags=0):
    """Write a buffer, which must not change meanwhile. The result is how many bytes were taken."""
    return make_transfer(OP_WRITE, fd, buffer, offset, flags)


def readv(int fd, buffers, int64_t offset=-1, int flags=0):
    """Read into several writable buffers, one after another; at most 1,024."""
    return make_transfer(OP_READV, fd, buffers, offset, flags)


def writev(int fd, buffers, int64_t offset=-1, int flags=0):
    """Write several buffers, one after another, which must not change meanwhile; at most 1,024."""
    return make_transfer(OP_WRITEV, fd, buffers, offset, flags)


def fsync(int fd, bint data_only=False):
    """Bring what was written to the disk; with `data_only` as fdatasync does."""
    cdef Request request = make_request(OP_FSYNC, fd)
    request.sqe.fsync_flags = FSYNC_DATASYNC if data_only else 0
    return request


def fallocate(int fd, int mode, int64_t offset, int64_t length):
    """Get or free disk space for a range of bytes; see fallocate(2)."""
    cdef Request request = make_request(OP_FALLOCATE, fd)
    request.sqe.off = <uint64_t> offset
    request.sqe.addr = <uint64_t> length
    request.sqe.len = mode
    return request


def ftruncate(int fd, int64_t length):
    """Cut or lengthen a file. Since Linux 6.9; the result is -EINVAL before."""
    cdef Request request = make_request(OP_FTRUNCATE, fd)
    request.sqe.off = <uint64_t> length
    return request


def openat(path, int flags, unsigned mode=0o777, int dir_fd=AT_FDCWD):
    """Open a file. The result is a new fd, close-on-exec; it is closed again if nobody wants it any
    more when it comes."""
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
    """Close a descriptor, which must not be used by anything else meanwhile."""
    return make_request(OP_CLOSE, fd)


def splice(int source, int64_t source_offset, int target, int64_t target_offset, unsigned size,
           unsigned flags=0):
    """Move up to `size` bytes between two files of which one is a pipe. An offset of -1 is the
    file's own position, and needed for a pipe."""
    cdef Request request = make_request(OP_SPLICE, target)
    request.sqe.splice_fd_in = source
    request.sqe.splice_off_in = <uint64_t> source_offset
    request.sqe.off = <uint64_t> target_offset
    request.sqe.len = size
    request.sqe.splice_flags = flags
    return request
