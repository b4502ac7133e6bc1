"""A statx(2) request whose outcome is what os.stat gives."""

import os
import struct

from libc.stdint cimport uint64_t

from zcloop._native.kernel.fcntl cimport AT_EMPTY_PATH, AT_FDCWD
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport OP_STATX

# STATX_BASIC_STATS: what os.stat_result has.
cdef unsigned MASK = 0x7FF
# sizeof(struct statx), which the kernel fills.
cdef size_t STATX_SIZE = 256
# struct statx up to stx_dev_minor. A time is seconds, nanoseconds and four bytes of padding.
_STATX = struct.Struct("=4xI8xIIIH2xQQQ8xqI4x16xqI4xqI4xIIII")


cdef class FileStatus(Request):
    cdef object outcome(self, int result):
        (block_size, links, uid, gid, mode, inode, size, blocks, access, access_ns, change,
         change_ns, modified, modified_ns, device_major, device_minor, major,
         minor) = _fields(<bytearray> self.kept[1])
        times = (access, access_ns), (modified, modified_ns), (change, change_ns)
        return os.stat_result(
            (mode, inode, os.makedev(major, minor), links, uid, gid, size, access, modified,
             change, *(seconds + 1e-9 * rest for seconds, rest in times),
             *(seconds * 1000000000 + rest for seconds, rest in times), block_size, blocks,
             os.makedev(device_major, device_minor)))


cdef tuple _fields(bytearray raw):
    return _STATX.unpack_from(raw)


def statx(path=b"", int dir_fd=AT_FDCWD, int flags=0):
    """The status of a path, or without a path of `dir_fd` itself. The outcome is an os.stat_result.
    ValueError for a path with a null byte."""
    cdef bytes name = os.fsencode(path)
    cdef bytearray room = bytearray(STATX_SIZE)
    if 0 in name:
        raise ValueError("embedded null byte")
    cdef FileStatus request = FileStatus.__new__(FileStatus)
    request.fd = request.sqe.fd = dir_fd
    request.sqe.opcode = OP_STATX
    request.kept = (name, room)
    request.sqe.off = <uint64_t> <size_t> <char *> room
    request.sqe.addr = <size_t> <const char *> name
    request.sqe.len = MASK
    request.sqe.statx_flags = flags | (0 if name else AT_EMPTY_PATH)
    return request


seal(FileStatus)
