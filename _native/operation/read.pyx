"""Read from a pipe, an eventfd or another fd without a position, into memory of the owner's."""

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport OP_READ, io_uring_sqe


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


seal(Read)
