"""Send from a lease, on a stream or as one datagram, without a copy: the network stack takes
references to its pages (IORING_OP_SEND_ZC, since 6.0).

There are two completions. The first one has the number of bytes that were queued, or an error, and
with it the request is done with the socket. If it says that more follows, a second one
(CQE_F_NOTIF) comes when the network has let go of the memory. That can be long after, when the peer
has acknowledged the data. Its result says whether the kernel had to copy after all (NOTIF_COPIED).
The memory is held until then; the fd is not.
"""

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.socket cimport MSG_NOSIGNAL, MSG_WAITALL
from zcloop._native.kernel.uring cimport (
    OP_SEND_ZC, RECVSEND_FIXED_BUF, SEND_ZC_REPORT_USAGE, io_uring_sqe,
)
from zcloop._native.operation.operation cimport length_of


cdef SendZeroCopy make_send_zero_copy(Owner owner, int fd, Lease lease, const char *data,
                                      size_t size, int pin):
    cdef SendZeroCopy operation = SendZeroCopy.__new__(SendZeroCopy)
    operation.owner = owner
    operation.fd = fd
    operation.lease = lease
    operation.data = data
    operation.size = length_of(size)
    operation.pin = pin
    operation.is_notified = True
    return operation


cdef class SendZeroCopy(Operation):
    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        sqe.opcode = OP_SEND_ZC
        sqe.fd = self.fd
        sqe.addr = <size_t> self.data
        sqe.len = <unsigned> self.size
        sqe.msg_flags = MSG_NOSIGNAL | MSG_WAITALL
        if self.name_size:
            sqe.addr2 = <size_t> self.name
            sqe.addr_len = self.name_size
        sqe.ioprio = SEND_ZC_REPORT_USAGE
        if self.pin >= 0:
            sqe.ioprio |= RECVSEND_FIXED_BUF
            sqe.buf_index = self.pin

    cdef object memory(self):
        return self.lease


seal(SendZeroCopy)
