# <sys/socket.h>, but for addresses (`address`), messages (`uio`) and their control data.

from zcloop._native.kernel.uio cimport msghdr

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int fd, void *data, size_t size, int flags)
    ssize_t send(int fd, const void *data, size_t size, int flags)
    ssize_t sendmsg(int fd, const msghdr *message, int flags)
    int shutdown(int fd, int how)
    enum:
        MSG_DONTWAIT
        MSG_MORE
        MSG_NOSIGNAL
        MSG_WAITALL
        SHUT_WR
        SOCK_CLOEXEC

cdef extern from * nogil:
    """
    #include <sys/socket.h>
    static ssize_t zc_send_to(int fd, const void *data, size_t size, const void *name, unsigned n)
    {
        return sendto(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, n ? name : NULL, n);
    }
    static ssize_t zc_receive_from(int fd, void *data, size_t size, void *name, unsigned *n)
    {
        return recvfrom(fd, data, size, MSG_DONTWAIT, name, n);
    }
    """
    ssize_t zc_receive_from(int fd, void *data, size_t size, void *name, unsigned *n)
    ssize_t zc_send_to(int fd, const void *data, size_t size, const void *name, unsigned n)
