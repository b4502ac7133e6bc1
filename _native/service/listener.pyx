"""A listening socket whose connections arrive as completions.

It owns the accept request, not the socket. After `stop` returns the kernel holds no request on
the socket, so that closing it frees the port at once.
"""

from libc.errno cimport EBADF, ECONNABORTED, EINTR, EINVAL, EPERM, EPROTO
from libc.stdint cimport uint32_t
from posix.unistd cimport close

from zcloop._native.kernel.errors cimport ECANCELED
from zcloop._native.kernel.sockets cimport file_of, socket_fd
from zcloop._native.kernel.uring cimport CQE_F_MORE
from zcloop._native.loop.socket_holder cimport SocketHolder
from zcloop._native.operation.accept cimport make_accept
from zcloop._native.operation.operation cimport IDLE, Operation
from zcloop._native.transport.stream cimport Stream

cdef extern from "Python.h":
    object PyContext_CopyCurrent()
    object PyContext_Copy(object context)
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1


cdef class Listener(SocketHolder):
    """`accepted(stream)` for each connection, in a copy of the context that this was made in;
    `failed(errno)` when accepting stopped on an error."""

    def __cinit__(self, Core core not None, socket, accepted, failed):
        self.core = core
        self.channel = core.channel
        self.context = PyContext_CopyCurrent()
        self.socket = socket
        self.fd = socket.fileno()
        self.file = file_of(self.fd)
        self.accepted = accepted
        self.failed = failed
        self.accept = make_accept(self, self.fd, core.channel.has_multishot_accept)

    def start(self):
        """Accept from now on. Idempotent."""
        self.is_listening = True
        self.join(self.core.socket_holders)
        if self.accept.state == IDLE:
            self.accept_again()

    def stop(self):
        """Accept no more; what was accepted and not yet announced is closed. Idempotent."""
        self.is_listening = False
        self.leave()
        self.accepted = self.failed = None
        self.accept.owner = None
        self.channel.cancel_now(self.accept)

    cdef int closed_underneath(self) except -1:
        """Its port is to be free at once."""
        cdef bint was_listening = self.is_listening
        self.is_listening = False
        self.leave()
        self.channel.cancel_now(self.accept)
        return self.fail(EBADF) if was_listening else 0

    cdef bint is_fd_ours(self) noexcept:
        # Compared by file, too: submissions are few, and whose number it is would not show.
        return socket_fd(self.socket) == self.fd and file_of(self.fd) == self.file

    cdef int announce(self, int fd) except -1:
        cdef Stream stream
        # What is set for one connection is none of the next one's.
        cdef object context = PyContext_Copy(self.context)
        PyContext_Enter(context)
        try:
            stream = Stream(self.core, fd)      # the fd is its from here on
            try:
                self.accepted(stream)
            except BaseException:
                # Now, not when the traceback that holds it is forgotten.
                if not (stream.is_started or stream.is_closing_):
                    stream.drop()
                    if stream.face is not None:
                        stream.face._lost()
                raise
        finally:
            PyContext_Exit(context)
        return 0

    cdef int accept_again(self) except -1:
        if not self.is_fd_ours():
            return self.fail(EBADF)
        return self.channel.submit(self.accept)

    cdef int fail(self, int errno_) except -1:
        self.is_listening = False
        self.leave()
        self.failed(errno_)
        return 0

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        if result >= 0 and (not self.is_listening or socket_fd(self.socket) != self.fd):
            # The request has kept the file open, but nobody may connect to a closed socket.
            close(result)
            return self.closed_underneath()
        if result >= 0:
            if not self.accept.is_multishot:
                self.channel.has_multishot_accept = False   # it was that which was refused
            try:
                self.announce(result)
            finally:
                if not flags & CQE_F_MORE and self.is_listening:
                    self.accept_again()
        elif not flags & CQE_F_MORE and self.is_listening:
            if result in (-ECANCELED, -ECONNABORTED, -EINTR, -EPERM, -EPROTO):
                self.accept_again()
            elif result == -EINVAL and self.accept.is_multishot:
                # A kernel before 5.19, or a socket that does not listen: one at a time will tell.
                self.accept.is_multishot = False
                self.accept_again()
            else:
                self.fail(-result)
        return 0
