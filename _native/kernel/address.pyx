"""struct sockaddr to the tuples of Python's socket module and back, without a resolver."""

from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

import os
import socket
import struct

from zcloop._native.kernel.errors cimport os_error
from zcloop._native.kernel.inet cimport (
    htons, inet_ntop, inet_pton, ntohl, ntohs, sockaddr_in, sockaddr_in6,
)

cdef extern from * nogil:
    """
    #include <sys/socket.h>
    #include <sys/un.h>
    #include <net/if.h>
    #include <linux/if_packet.h>
    #include <linux/netlink.h>
    #include <linux/vm_sockets.h>
    """
    struct sockaddr_nl:
        uint32_t nl_pid
        uint32_t nl_groups
    struct sockaddr_ll:
        uint16_t sll_protocol
        int sll_ifindex
        uint16_t sll_hatype
        uint8_t sll_pkttype
        uint8_t sll_halen
        uint8_t *sll_addr
    struct sockaddr_vm:
        uint32_t svm_port
        uint32_t svm_cid
    char *if_indextoname(unsigned index, char *name)
    struct sockaddr:
        pass
    int getpeername(int fd, sockaddr *address, socklen_t *size)
    int getsockname(int fd, sockaddr *address, socklen_t *size)
    int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
    enum:
        AF_NETLINK
        AF_PACKET
        AF_VSOCK
        IF_NAMESIZE
        SOL_SOCKET
        SO_DOMAIN

# Bytes.
cdef enum:
    ADDRESS_SIZE_MAX = 128  # struct sockaddr_storage: room for an address of any family
    PATH_SIZE = 108         # sun_path, with the NUL that ends a path but no abstract name
    FAMILY_SIZE = 2         # the family; a Unix socket without a name has nothing else
    PACKET_SIZE_MIN = 12    # a packet's address without that of its hardware
    UNKNOWN_SIZE = 16       # struct sockaddr: socket shows the 14 bytes after the family


cdef socklen_t numeric_address(const char *host, int port, sockaddr_storage *storage) noexcept:
    """Write the sockaddr of an IPv4 or IPv6 address in text. Returns its size, or 0 if the text is
    no such address, or the port is none."""
    cdef sockaddr_in *four = <sockaddr_in *> storage
    cdef sockaddr_in6 *six = <sockaddr_in6 *> storage
    if not 0 <= port <= 65535:
        return 0
    memset(storage, 0, sizeof(sockaddr_in6))
    if inet_pton(AF_INET, host, &four.sin_addr) == 1:
        storage.ss_family = AF_INET
        four.sin_port = htons(port)
        return sizeof(sockaddr_in)
    if inet_pton(AF_INET6, host, &six.sin6_addr) == 1:
        storage.ss_family = AF_INET6
        six.sin6_port = htons(port)
        return sizeof(sockaddr_in6)
    return 0


cdef object address_of(const sockaddr_storage *storage, socklen_t size):
    """What Python's socket makes of a sockaddr, or None if there is none.

    That is (host, port), or (host, port, flowinfo, scope_id), or a path, or the tuple of an
    uncommon family, or (family, the 14 bytes after it) of a family that is unknown here.
    """
    cdef char[64] text
    cdef const sockaddr_in *four
    cdef const sockaddr_in6 *six
    cdef const char *path
    cdef const char *end
    if size < FAMILY_SIZE:
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
        if size == FAMILY_SIZE:
            return ""
        path = (<const char *> storage) + FAMILY_SIZE
        size -= FAMILY_SIZE
        if path[0] == 0:
            return path[:size]      # an abstract name: bytes, as socket gives it
        end = <const char *> memchr(path, 0, size)
        return os.fsdecode(path[:(end - path) if end != NULL else size])
    return uncommon_address(storage, size)


cdef object uncommon_address(const sockaddr_storage *storage, socklen_t size):
    cdef char[IF_NAMESIZE] interface
    cdef const sockaddr_nl *netlink = <const sockaddr_nl *> storage
    cdef const sockaddr_ll *packet = <const sockaddr_ll *> storage
    cdef const sockaddr_vm *machine = <const sockaddr_vm *> storage
    if storage.ss_family == AF_NETLINK and size >= sizeof(sockaddr_nl):
        return netlink.nl_pid, netlink.nl_groups
    if storage.ss_family == AF_PACKET and size >= PACKET_SIZE_MIN:
        name = ""
        if packet.sll_ifindex and if_indextoname(packet.sll_ifindex, interface) != NULL:
            name = os.fsdecode(interface)
        hardware = (<const char *> packet.sll_addr)[:min(packet.sll_halen, size - PACKET_SIZE_MIN)]
        return name, ntohs(packet.sll_protocol), packet.sll_pkttype, packet.sll_hatype, hardware
    if storage.ss_family == AF_VSOCK and size >= sizeof(sockaddr_vm):
        return machine.svm_cid, machine.svm_port
    return storage.ss_family, (<const char *> storage)[FAMILY_SIZE:min(size, UNKNOWN_SIZE)]


cdef bytes peer_address(int fd, uint64_t *head):
    """The raw sockaddr of the peer; `head` gets its first eight bytes.

    None if `head` has all of it, so that an ordinary connection needs no object for its peer
    (`whole_address` makes one). None, too, if there is no peer: then `head` is 0.
    """
    cdef char[ADDRESS_SIZE_MAX] raw
    cdef socklen_t size = sizeof(raw)
    head[0] = 0
    if getpeername(fd, <sockaddr *> <void *> raw, &size) < 0:
        return None
    memcpy(head, raw, min(size, <socklen_t> sizeof(head[0])))
    if family_in(head) == AF_INET or size == FAMILY_SIZE:
        return None
    return raw[:size]


cdef bytes whole_address(uint64_t head):
    """The sockaddr that begins with `head`, of a peer for which that is enough. None for 0."""
    if head == 0:
        return None
    cdef bytes start = (<char *> &head)[:sizeof(head)]
    return start + bytes(8) if family_in(&head) == AF_INET else start[:FAMILY_SIZE]


cdef int family_in(const void *address) noexcept:
    """The family of a raw sockaddr."""
    return (<const uint16_t *> address)[0]


cdef bytes local_address(int fd):
    """The raw sockaddr that a socket is bound to, or None if it cannot be asked."""
    cdef char[ADDRESS_SIZE_MAX] raw
    cdef socklen_t size = sizeof(raw)
    if getsockname(fd, <sockaddr *> <void *> raw, &size) < 0:
        return None
    return raw[:size]


cdef bint is_same_machine(bytes local, bytes peer) noexcept:
    """Whether what is sent from one raw sockaddr to the other stays on this host, as far as they
    tell. True where they do not tell."""
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
    cdef char[ADDRESS_SIZE_MAX] storage
    memcpy(storage, <const char *> raw, min(len(raw), ADDRESS_SIZE_MAX))
    return address_of(<const sockaddr_storage *> <void *> storage, len(raw))


cdef int family_of(int fd) except -1:
    """The address family of a socket. Raises OSError if the descriptor is none."""
    cdef int family
    cdef socklen_t size = sizeof(family)
    if getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) < 0:
        raise os_error(errno, f"fd {fd}")
    return family


cdef bytes internet_address(int family, address):
    """The raw sockaddr of a numeric IPv4 or IPv6 address."""
    cdef int parts = len(address) if type(address) is tuple else 0
    if parts < 2 or parts > (4 if family == AF_INET6 else 2):
        raise TypeError(f"{address!r}: a (host, port) tuple is needed, or for IPv6 "
                        "(host, port, flowinfo, scope_id)")
    host, port = address[:2]
    if not 0 <= port <= 65535:
        raise OverflowError(f"port {port}: it is 0 to 65535")
    try:
        numeric = socket.inet_pton(family, host)
    except OSError:
        raise ValueError(f"{host!r} is no numeric address of this socket's family: resolve names "
                         "with socket.getaddrinfo() first") from None
    head = struct.pack("=H", family) + struct.pack("!H", port)
    if family == AF_INET:
        return head + numeric + bytes(8)
    flow, scope = (address[2:] + (0, 0))[:2]
    return head + struct.pack("!I", flow) + numeric + struct.pack("=I", scope)


cdef bytes path_address(path):
    """The raw sockaddr of a Unix path, or of an abstract name, which begins with a NUL."""
    cdef bytes name = os.fsencode(path)
    is_abstract = name[:1] == b"\0"
    if len(name) > PATH_SIZE - (not is_abstract):
        raise OSError("AF_UNIX path too long")
    if not is_abstract and b"\0" in name:
        raise ValueError("embedded null byte")
    return struct.pack("=H", AF_UNIX) + name + (b"" if is_abstract else b"\0")


def encode_address(int family, address):
    """The raw sockaddr of a Python address: numeric IPv4 or IPv6, or a Unix path.

    Raises ValueError for host names and for other families. Raises OverflowError, TypeError and
    OSError as socket does for what is no address.
    """
    if family == AF_UNIX:
        return path_address(address)
    if family == AF_INET or family == AF_INET6:
        return internet_address(family, address)
    raise ValueError(f"sockets of address family {family} are not known here: only AF_INET, "
                     "AF_INET6 and AF_UNIX are")
