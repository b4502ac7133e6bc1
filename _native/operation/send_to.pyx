"""Send one datagram if the socket's buffer has room; never waits.

As TrySend: no completion when it was sent, and -EAGAIN or an error before the submission returns.
"""

from libc.errno cimport errno
from libc.stdint cimport uint32_t

from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.uring cimport OP_SEND, SQE_CQE_SKIP_SUCCESS, io_uring_sqe
from zcloop._native.operation.operation cimport length_of

cdef extern from "<poll.h>" nogil:
    enum:
        POLLOUT

cdef extern from * nogil:
    """
    #include <sys/socket.h>
    static ssize_t zc_send_to(int fd, const void *data, size_t size, const void *name, unsigned n)
    {
        return sendto(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, name, n);
    }
    """
    enum:
        MSG_DONTWAIT
        MSG_NOSIGNAL
    ssize_t zc_send_to(int fd, const void *data, size_t size, const void *name, unsigned n)


cdef TrySendTo make_try_send_to(Owner owner, int fd):
    cdef TrySendTo operation = TrySendTo.__new__(TrySendTo)
    operation.owner = owner
    operation.fd = fd
    operation.is_eager = True
    return operation


cdef class TrySendTo(Operation):
    cdef void prepare(self, io_uring_sqe *sqe) noexcept:
        sqe.opcode = OP_SEND
        sqe.flags = SQE_CQE_SKIP_SUCCESS
        sqe.fd = self.fd
        sqe.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL
        sqe.addr = <size_t> self.data
        sqe.len = length_of(self.size)      # which is refused (EMSGSIZE), as all of it would be
        sqe.addr2 = <size_t> self.name
        sqe.addr_len = self.name_size

    cdef int attempt(self) noexcept:
        cdef ssize_t sent = zc_send_to(self.fd, self.data, self.size, self.name, self.name_size)
        return <int> sent if sent >= 0 else -errno

    cdef uint32_t readiness(self) noexcept:
        return POLLOUT


seal(TrySendTo)
