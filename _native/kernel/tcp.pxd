# TCP sockets by their system calls, without an object of Python's for each: tcp(7).

from zcloop._native.kernel.address cimport sockaddr_storage, socklen_t

cdef int connect_tcp(const sockaddr_storage *address, socklen_t size, int *fd) noexcept nogil
cdef int socket_error(int fd) noexcept nogil
cdef int receive_low_water(int fd) noexcept nogil
cdef int set_receive_low_water(int fd, int value) noexcept nogil
cdef int corked(int fd) noexcept nogil
cdef int push_now(int fd) noexcept nogil

cdef extern from * nogil:
    """
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    """
    enum:
        IPPROTO_TCP
        TCP_CORK
