"""struct sockaddr to the tuples of Python's socket module, without a resolver."""

import os

from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memchr, memcmp, memcpy

cdef extern from * nogil:
    """
    #include <sys/socket.h>
    #include <sys/un.h>
    #include <netinet/in.h>
    #include <arpa/inet.h>
    """
    struct in_addr:
        pass
    struct in6_addr:
        pass
    struct sockaddr_in:
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        uint16_t sin6_port
        uint32_t sin6_flowinfo
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    uint16_t ntohs(uint16_t value)
    uint32_t ntohl(uint32_t value)
    const char *inet_ntop(int family, const void *address, char *text, socklen_t size)
    struct sockaddr:
        pass
    int getpeername(int fd, sockaddr *address, socklen_t *size)
    int getsockname(int fd, sockaddr *address, socklen_t *size)


cdef object address_of(const sockaddr_storage *storage, socklen_t size):
    """(host, port), (host, port, flowinfo, scope_id), a path, or None for a family unknown here."""
    cdef char[64] text
    cdef const sockaddr_in *four
    cdef const sockaddr_in6 *six
    cdef const char *path
    cdef const char *end
    if size < 2:
        return None
    if storage.ss_family == AF_INET:
        four = <const sockaddr_in *> storage
        inet_ntop(AF_INET, &four.sin_addr, text, sizeof(text))
        return ((<bytes> text).decode("ascii"), ntohs(four.sin_port))
    if storage.ss_family == AF_INET6:
        six = <const sockaddr_in6 *> storage
        inet_ntop(AF_INET6, &six.sin6_addr, text, sizeof(text))
        return ((<bytes> text).decode("ascii"), ntohs(six.sin6_port),
                ntohl(six.sin6_flowinfo), six.sin6_scope_id)
    if storage.ss_family == AF_UNIX:
        if size == 2:
            return ""
        path = (<const char *> storage) + 2
        if path[0] == 0:
            return path[:size - 2]      # an abstract name: bytes, as socket gives it
        end = <const char *> memchr(path, 0, size - 2)
        return os.fsdecode(path[:(end - path) if end != NULL else size - 2])
    return None


cdef bytes peer_address(int fd):
    """The raw sockaddr of the peer; None where there is none."""
    cdef char[128] raw
    cdef socklen_t size = sizeof(raw)
    if getpeername(fd, <sockaddr *> <void *> raw, &size) < 0:
        return None
    return raw[:size]


cdef bytes local_address(int fd):
    cdef char[128] raw
    cdef socklen_t size = sizeof(raw)
    if getsockname(fd, <sockaddr *> <void *> raw, &size) < 0:
        return None
    return raw[:size]


cdef bint is_same_machine(bytes local, bytes peer) noexcept:
    """Whether what goes between two raw sockaddrs, as far as they tell, never leaves the host."""
    cdef const char *one
    cdef const char *other
    if local is None or peer is None or len(local) != len(peer) or len(peer) < 8:
        return True
    one = local
    other = peer
    if (<const sockaddr_storage *> other).ss_family == AF_INET:
        return other[4] == 127 or memcmp(one + 4, other + 4, 4) == 0
    if (<const sockaddr_storage *> other).ss_family == AF_INET6 and len(peer) >= 24:
        return memcmp(one + 8, other + 8, 16) == 0
    return True


def decode_address(bytes raw):
    """The Python address of a raw sockaddr."""
    cdef char[128] storage
    memcpy(storage, <const char *> raw, min(len(raw), 128))
    return address_of(<const sockaddr_storage *> <void *> storage, len(raw))
