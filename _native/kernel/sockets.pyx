"""What is asked of sockets on hot paths: the fd of a Python socket, the file of an fd, how much a
socket holds, and the next connection of a listening one."""

from libc.errno cimport errno

import _socket
import socket as socket_module

cdef extern from * nogil:
    """
    /* The head of PySocketSockObject, the same from 3.11 to 3.14; _prove_layout checks. */
    struct zc_socket { PyObject_HEAD int fd; };
    static int zc_socket_fd(PyObject *socket) { return ((struct zc_socket *)socket)->fd; }
    """
    int zc_socket_fd(object socket)

cdef extern from "<sys/stat.h>" nogil:
    struct file_status "stat":
        uint64_t st_ino
    int fstat(int fd, file_status *status)

cdef extern from * nogil:
    """
    #include <sys/socket.h>
    static int zc_accept(int fd)
    {
        return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
    """
    int zc_accept(int fd)

cdef extern from "<sys/socket.h>" nogil:
    enum:
        SOL_SOCKET
        SO_RCVBUF
    ctypedef unsigned socklen_t
    int getsockopt(int fd, int level, int name, void *value, socklen_t *size)

cdef bint _can_load_fd = False


cdef int socket_fd(object socket) noexcept:
    """socket.fileno(), in one load if the interpreter's layout is the known one. -1 once closed."""
    if _can_load_fd and isinstance(socket, _Socket):
        return zc_socket_fd(socket)
    try:
        return socket.fileno()
    except Exception:
        return -1


cdef int receive_buffer_size(int fd) noexcept nogil:
    """SO_RCVBUF: bytes that may wait in a socket, including what the kernel counts for each
    message. 0 if it cannot be asked."""
    cdef int value = 0
    cdef socklen_t size = sizeof(value)
    return 0 if getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &size) < 0 else value


cdef uint64_t file_of(int fd) noexcept nogil:
    """The inode of an open socket, which no other open socket has; 0 if the fd is closed."""
    cdef file_status status
    return status.st_ino if fstat(fd, &status) == 0 else 0


cdef int accept_from(int fd) noexcept nogil:
    """The next connection of a listening socket that does not block: an fd that does not block
    either, and that exec closes. -errno if there is none."""
    cdef int got = zc_accept(fd)
    return got if got >= 0 else -errno


def _prove_layout():
    """Find out whether the interpreter's layout is the known one, by two sockets."""
    global _can_load_fd
    one, other = socket_module.socketpair()
    with one, other:
        _can_load_fd = zc_socket_fd(one) == one.fileno() and zc_socket_fd(other) == other.fileno()


_Socket = _socket.socket
_prove_layout()
