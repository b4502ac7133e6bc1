"""Receive from a stream socket into the next free slots of a buffer ring, again and again.

Each completion carries a slot (CQE_F_BUFFER) and how many bytes are in it; 0 is the peer's end of
file. The request ends with that, with an error, with -ENOBUFS when no slot is free, and when the
completion queue overflows. Its owner then submits it again if it still wants data.
"""

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport (
    OP_RECV, RECV_MULTISHOT, SQE_BUFFER_SELECT, io_uring_sqe,
)


cdef Receive make_receive(Owner owner, int fd, BufferRing pool):
    cdef Receive operation = Receive.__new__(Receive)
    operation.owner = owner
    operation.fd = fd
    operation.pool = pool
    return operation


cdef class Receive(Operation):
    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        sqe.opcode = OP_RECV
        sqe.flags = SQE_BUFFER_SELECT
        sqe.ioprio = RECV_MULTISHOT
        sqe.fd = self.fd
        sqe.buf_group = self.pool.group


seal(Receive)
