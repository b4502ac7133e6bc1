"""TCP sockets by their system calls, without an object of Python's for each."""

from libc.errno cimport EINPROGRESS, errno
from posix.unistd cimport close

cdef extern from * nogil:
    """
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <sys/socket.h>
    """
    enum:
        SOCK_CLOEXEC
        SOCK_NONBLOCK
        SOCK_STREAM
        SOL_SOCKET
        SO_ERROR
        SO_RCVLOWAT
        TCP_NODELAY
    struct sockaddr:
        pass
    int socket(int family, int kind, int protocol)
    int connect(int fd, const sockaddr *address, socklen_t size)
    int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
    int setsockopt(int fd, int level, int name, const void *value, socklen_t size)


cdef int connect_tcp(const sockaddr_storage *address, socklen_t size, int *fd) noexcept nogil:
    """Connect a new socket that does not block, is closed by exec, and has TCP_NODELAY.

    Returns 0 if that is done or under way; `fd` is then the caller's. Otherwise returns errno, and
    there is no socket.
    """
    cdef int one = 1
    cdef int failed
    fd[0] = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP)
    if fd[0] < 0:
        return errno
    setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one))
    if connect(fd[0], <const sockaddr *> <const void *> address, size) == 0:
        return 0
    failed = errno
    if failed == EINPROGRESS:
        return 0
    close(fd[0])
    fd[0] = -1
    return failed


cdef int socket_error(int fd) noexcept nogil:
    """The errno that SO_ERROR has, or why it cannot be asked."""
    cdef int error = 0
    cdef socklen_t size = sizeof(error)
    return errno if getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 else error


cdef int receive_low_water(int fd) noexcept nogil:
    """SO_RCVLOWAT: the bytes from which on the socket counts as readable. -1 and errno if it cannot
    be asked."""
    cdef int value = 0
    cdef socklen_t size = sizeof(value)
    return -1 if getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, &size) < 0 else value


cdef int set_receive_low_water(int fd, int value) noexcept nogil:
    """Set SO_RCVLOWAT; the kernel makes it half of the socket's buffer at most. -1 and errno if it
    refuses."""
    return setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value))


cdef int corked(int fd) noexcept nogil:
    """TCP_CORK: 1 if the program holds the socket's small segments back, else 0. -1 and errno if
    the socket is not TCP."""
    cdef int value = 0
    cdef socklen_t size = sizeof(value)
    return -1 if getsockopt(fd, IPPROTO_TCP, TCP_CORK, &value, &size) < 0 else value


cdef int push_now(int fd) noexcept nogil:
    """Send what MSG_MORE has held back, as a send without it would have. -1 and errno if that is
    refused.

    To take a cork out does that, and changes no option that the program has set. Rejected: to set
    TCP_NODELAY, which does it too, but turns off Nagle's algorithm for a program that wants it.
    """
    cdef int off = 0
    return setsockopt(fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off))
