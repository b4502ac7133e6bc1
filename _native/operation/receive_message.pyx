"""Receive datagrams with their senders into the slots of a buffer ring, again and again.

A slot holds a struct io_uring_recvmsg_out, NAME_SIZE bytes for the sender's address, as many bytes
for control messages as the operation was made with, and then the payload. The request ends with an
error (an ICMP refusal is one), with -ENOBUFS when no slot is free, and when the completion queue
overflows.
"""

from libc.string cimport memset

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport (
    OP_RECVMSG, RECV_MULTISHOT, SQE_BUFFER_SELECT, io_uring_sqe,
)


cdef ReceiveMessage make_receive_message(Owner owner, int fd, BufferRing pool,
                                         size_t control_size):
    cdef ReceiveMessage operation = ReceiveMessage.__new__(ReceiveMessage)
    operation.owner = owner
    operation.fd = fd
    operation.pool = pool
    memset(&operation.message, 0, sizeof(msghdr))
    operation.message.msg_namelen = NAME_SIZE
    operation.message.msg_controllen = control_size
    return operation


cdef class ReceiveMessage(Operation):
    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        sqe.opcode = OP_RECVMSG
        sqe.flags = SQE_BUFFER_SELECT
        sqe.ioprio = RECV_MULTISHOT
        sqe.fd = self.fd
        sqe.addr = <size_t> &self.message
        sqe.len = 1
        sqe.buf_group = self.pool.group


seal(ReceiveMessage)
