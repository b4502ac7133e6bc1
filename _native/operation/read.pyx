"""Read from a stream-like fd (pipe, eventfd) into memory that the owner keeps."""

from libc.errno cimport errno
from libc.stdint cimport uint32_t
from posix.unistd cimport read

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport OP_READ, io_uring_sqe

cdef extern from "<poll.h>" nogil:
    enum:
        POLLIN


cdef Read make_read(Owner owner, int fd, char *buffer, unsigned size):
    cdef Read operation = Read.__new__(Read)
    operation.owner = owner
    operation.fd = fd
    operation.buffer = buffer
    operation.size = size
    return operation


cdef class Read(Operation):
    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        sqe.opcode = OP_READ
        sqe.fd = self.fd
        sqe.addr = <size_t> self.buffer
        sqe.len = self.size
        sqe.off = <unsigned long long> -1

    cdef int attempt(self) noexcept:
        cdef ssize_t got = read(self.fd, self.buffer, self.size)
        return <int> got if got >= 0 else -errno

    cdef uint32_t readiness(self) noexcept:
        return POLLIN


seal(Read)
