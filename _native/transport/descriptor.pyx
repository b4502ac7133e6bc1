"""An fd of a socket that a transport has: its Python socket, its addresses, and its release.

    owner of the fd     the descriptor, until a Python socket is made for the fd or given by the
                        program; then that socket, until `take_fd`
    take_fd             the transport is over: the Python socket is detached, so that its fileno()
                        is -1 as after a close
    release_fd          closes the fd, once the kernel has let go of its file. Operations that are
                        in flight are recalled first, so that the number cannot be reused under one
    drop_fd             closes the fd without that, when the transport was collected
"""

cimport cython
from libc.errno cimport EBADF
from posix.unistd cimport close

import socket as socket_module

from zcloop._native.kernel.address cimport (
    AF_INET, family_in, local_address, peer_address, whole_address,
)
from zcloop._native.kernel.errors cimport os_error
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.kernel.sockets cimport socket_fd


@cython.no_gc_clear     # its fd goes with it, which needs the core
cdef class Descriptor(Client):
    def __cinit__(self, Core core not None, int fd):
        self.fd = -1
        if fd < 0:
            raise os_error(EBADF, None)     # of a socket that was closed
        self.core = core
        self.channel = core.channel
        self.fd = fd
        self.owns_fd = True
        self.read_peer()

    def __dealloc__(self):
        if self.core is not None:
            self.core.remove_transport(self.fd, self)
        # A Python socket closes its fd itself.
        if self.fd >= 0 and self.owns_fd:
            close(self.fd)

    cdef int enter_table(self) except -1:
        """Let the loop find this transport by its fd."""
        return self.core.add_transport(self.fd, self)

    # ---- addresses ---------------------------------------------------------------------------

    cdef bint read_peer(self) except -1:
        """Ask for the peer's address, while there is a peer; whether there is one."""
        self.peer = peer_address(self.fd, &self.peer_head)
        return self.peer_head != 0

    @property
    def has_peer(self):
        """Whether there was a peer when its address was last asked for."""
        return self.peer_head != 0

    @property
    def family(self):
        """The address family: the peer's, or where there is no peer the socket's."""
        if self.peer_head:
            return family_in(&self.peer_head)
        cdef bytes local = self.raw_local()
        return AF_INET if local is None else family_in(<const char *> local)

    def raw_peer(self):
        """The peer's sockaddr as it was when the transport was made, or None."""
        return whole_address(self.peer_head) if self.peer is None else self.peer

    def raw_local(self):
        """The socket's own sockaddr as it was when first asked for; None if the fd was closed
        before that."""
        if self.local is None and self.fd >= 0:
            self.local = local_address(self.fd)
        return self.local

    # ---- the Python socket -------------------------------------------------------------------

    def python_socket(self, int kind):
        """The socket object of the fd, made when first asked for.

        None once the transport is over, if nobody had asked before. In connection_lost() the fd is
        still open, and may still be asked for.
        """
        if self.socket is None and self.fd >= 0 and not self.is_given_up():
            made = socket_module.socket(
                self.family, kind | socket_module.SOCK_NONBLOCK, -1, self.fd)
            if self.socket is not None or self.fd < 0:
                made.detach()       # code that ran in the middle has made one, or closed the fd
            else:
                self.socket = made
                self.owns_fd = False
        return self.socket

    cdef bint is_given_up(self) noexcept:
        return False

    cdef bint is_fd_ours(self) noexcept:
        return self.socket is None or socket_fd(self.socket) == self.fd

    # ---- its release -------------------------------------------------------------------------

    cdef int take_fd(self) except -1:
        """Take the fd back from the Python socket, since the transport is over."""
        self.raw_local()
        if self.socket is not None and self.socket.detach() != self.fd:
            # The program has closed or replaced the socket: that number is not ours to close.
            self.core.remove_transport(self.fd, self)
            self.fd = -1
        self.owns_fd = True
        return 0

    cdef int close_fd(self) except -1:
        close(self.fd)
        return 0

    cdef int drop_fd(self) except -1:
        """Close the fd at once, by its Python socket if there is one. Idempotent."""
        if self.fd >= 0:
            self.core.remove_transport(self.fd, self)
            if self.socket is not None:
                self.socket.close()
            else:
                self.close_fd()
            self.fd = -1
        return 0

    cdef int release_fd(self) except -1:
        """Close the fd if nobody, the kernel included, has it any more; forget the operations when
        the last completion has been told."""
        if self.fd >= 0 and has_left(self.write_poll) and self.has_left_kernel():
            self.core.remove_transport(self.fd, self)
            try:
                self.close_fd()
            finally:
                self.fd = -1
        if self.fd < 0 and is_resting(self.write_poll) and self.is_idle():
            self.forget(self.write_poll)
            self.forget_operations()
        return 0

    cdef bint is_idle(self) noexcept:
        return True

    cdef bint has_left_kernel(self) noexcept:
        return True

    cdef int recall_operations(self) except -1:
        return 0

    cdef int forget_operations(self) except -1:
        return 0

    cdef int recall(self, Operation operation) except -1:
        """Have the kernel let go of the fd's file now.

        The next callback may wait for the peer, which waits for the end of the connection. One
        system call brings in the completions of all operations that this turn has cancelled.
        """
        return 0 if has_left(operation) else self.channel.cancel_now(operation)

    cdef int forget(self, Operation operation) except -1:
        """Break the cycle of an owner and its operation."""
        if operation is not None:
            operation.owner = None
        return 0


seal(Descriptor)
