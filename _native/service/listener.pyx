"""A listening socket whose connections arrive as completions.

It owns the accept request, not the socket. After `stop` returns the kernel holds no request on
the socket, so that closing it frees the port at once.
"""

from libc.errno cimport ECONNABORTED, EINTR, EINVAL, EPERM, EPROTO
from libc.stdint cimport uint32_t

from zcloop._native.kernel.errors cimport ECANCELED
from zcloop._native.kernel.uring cimport CQE_F_MORE
from zcloop._native.loop.core cimport Core
from zcloop._native.operation.accept cimport make_accept
from zcloop._native.operation.operation cimport IDLE, Operation


cdef class Listener(Owner):
    """`accepted(fd)` for each connection; `failed(errno)` when accepting stopped on an error."""

    def __cinit__(self, Core core, int fd, accepted, failed):
        self.channel = core.channel
        self.fd = fd
        self.accepted = accepted
        self.failed = failed
        self.accept = make_accept(self, fd, core.channel.has_multishot_accept)

    def start(self):
        """Accept from now on. Idempotent."""
        self.is_listening = True
        if self.accept.state == IDLE:
            self.channel.submit(self.accept)

    def stop(self):
        """Accept no more; what was accepted and not yet announced is closed. Idempotent."""
        self.is_listening = False
        self.accepted = self.failed = None
        self.accept.owner = None
        self.channel.cancel_now(self.accept)

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        cdef object failed = self.failed
        if result >= 0:
            if not self.accept.is_multishot:
                self.channel.has_multishot_accept = False   # it was that which was refused
            try:
                self.accepted(result)
            finally:
                if not flags & CQE_F_MORE and self.is_listening:
                    self.channel.submit(self.accept)
        elif not flags & CQE_F_MORE and self.is_listening:
            if result in (-ECANCELED, -ECONNABORTED, -EINTR, -EPERM, -EPROTO):
                self.channel.submit(self.accept)
            elif result == -EINVAL and self.accept.is_multishot:
                # A kernel before 5.19, or a socket that does not listen: one at a time will tell.
                self.accept.is_multishot = False
                self.channel.submit(self.accept)
            else:
                self.is_listening = False
                failed(-result)
        return 0
