from libc.stdint cimport uint64_t

cdef extern from "<sys/socket.h>" nogil:
    struct sockaddr_storage:
        unsigned short ss_family
    ctypedef unsigned socklen_t
    enum:
        AF_INET
        AF_INET6
        AF_UNIX

cdef socklen_t numeric_address(const char *host, int port, sockaddr_storage *storage) noexcept
cdef object address_of(const sockaddr_storage *storage, socklen_t size)
cdef bytes peer_address(int fd, uint64_t *head)
cdef bytes whole_address(uint64_t head)
cdef int family_in(const void *address) noexcept
cdef bytes local_address(int fd)
cdef bint is_same_machine(bytes local, bytes peer) noexcept
cdef int family_of(int fd) except -1
