"""Send on a stream socket what its buffer takes at once; never waits.

Sent whole, there is no completion at all, and the memory is free when the submission returns.
Otherwise the completion is the number of bytes sent, or -EAGAIN; it is posted before the
submission returns, too, so its owner knows the outcome before any user code runs (eager). The
owner waits for room by a poll and sends the rest itself.
"""

from libc.errno cimport errno
from libc.stdint cimport uint32_t

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport (
    OP_SEND, OP_SENDMSG, SQE_CQE_SKIP_SUCCESS, io_uring_sqe,
)
from zcloop._native.operation.operation cimport length_of

cdef extern from "<poll.h>" nogil:
    enum:
        POLLOUT

cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL
        MSG_WAITALL
    ssize_t send(int fd, const void *data, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr *message, int flags)


cdef TrySend make_try_send(Owner owner, int fd):
    cdef TrySend operation = TrySend.__new__(TrySend)
    operation.owner = owner
    operation.fd = fd
    operation.is_eager = True
    return operation


cdef class TrySend(Operation):
    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        sqe.flags = SQE_CQE_SKIP_SUCCESS
        sqe.fd = self.fd
        sqe.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_WAITALL
        if self.message == NULL:
            self.size = length_of(self.size)    # what is sent when no completion comes
            sqe.opcode = OP_SEND
            sqe.addr = <size_t> self.data
            sqe.len = <unsigned> self.size
        else:
            sqe.opcode = OP_SENDMSG
            sqe.addr = <size_t> self.message
            sqe.len = 1

    cdef int attempt(self) noexcept:
        cdef ssize_t sent
        if self.message == NULL:
            sent = send(self.fd, self.data, self.size, MSG_DONTWAIT | MSG_NOSIGNAL)
        else:
            sent = sendmsg(self.fd, self.message, MSG_DONTWAIT | MSG_NOSIGNAL)
        return <int> sent if sent >= 0 else -errno

    cdef uint32_t readiness(self) noexcept:
        return POLLOUT


seal(TrySend)
