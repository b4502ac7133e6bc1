"""Many UDP datagrams in one system call, by the kernel's segmentation offload: one buffer that it
cuts into equal datagrams (UDP_SEGMENT, since 4.18), and many of one sender that it hands up as one
buffer with their size (UDP_GRO, since 5.0)."""

from libc.errno cimport EINVAL, EIO, EMSGSIZE, ENOMEM, errno

from zcloop._native.kernel.errors cimport ENOBUFS
from zcloop._native.kernel.uio cimport iovec

cdef extern from * nogil:
    """
    #include <netinet/in.h>
    #include <netinet/udp.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/socket.h>

    /* glibc has named them since 2.29 and 2.30. */
    #ifndef UDP_SEGMENT
    #define UDP_SEGMENT 103         /* since Linux 4.18 */
    #endif
    #ifndef UDP_GRO
    #define UDP_GRO 104             /* since Linux 5.0 */
    #endif

    static int zc_set_gro(int fd, int value)
    {
        return setsockopt(fd, IPPROTO_UDP, UDP_GRO, &value, sizeof(value));
    }

    static int zc_option(int fd, int level, int name)
    {
        int value = -1;
        socklen_t size = sizeof(value);
        return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
    }

    /* Other protocols of datagrams, and raw sockets, do not look at UDP_SEGMENT: they would send
       all as one. */
    static int zc_is_udp(int fd)
    {
        int domain = zc_option(fd, SOL_SOCKET, SO_DOMAIN);
        return (domain == AF_INET || domain == AF_INET6)
            && zc_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM
            && zc_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDP;
    }

    /* The user's own: what is sent is put together until the cork is drawn, or cut otherwise. */
    static int zc_is_plain(int fd)
    {
        return zc_option(fd, IPPROTO_UDP, UDP_CORK) == 0
            && zc_option(fd, IPPROTO_UDP, UDP_SEGMENT) == 0;
    }

    static unsigned zc_segment_size(const char *control, unsigned size)
    {
        int segment;
        struct cmsghdr header;
        if (size < CMSG_LEN(sizeof(segment)))
            return 0;
        memcpy(&header, control, sizeof(header));
        if (header.cmsg_level != IPPROTO_UDP || header.cmsg_type != UDP_GRO)
            return 0;
        memcpy(&segment, control + CMSG_LEN(0), sizeof(segment));
        return segment > 0 ? segment : 0;
    }

    static ssize_t zc_send_segments(int fd, struct iovec *vector, unsigned count,
                                    uint16_t segment, const void *name, unsigned name_size)
    {
        char control[CMSG_SPACE(sizeof(uint16_t))] = {0};
        struct msghdr message = {
            .msg_name = name_size ? (void *) name : NULL, .msg_namelen = name_size,
            .msg_iov = vector, .msg_iovlen = count,
            .msg_control = control, .msg_controllen = sizeof(control),
        };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = IPPROTO_UDP;
        header->cmsg_type = UDP_SEGMENT;
        header->cmsg_len = CMSG_LEN(sizeof(segment));
        memcpy(CMSG_DATA(header), &segment, sizeof(segment));
        return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    """
    int zc_set_gro(int fd, int value)
    int zc_is_udp(int fd)
    int zc_is_plain(int fd)
    unsigned zc_segment_size(const char *control, unsigned size)
    ssize_t zc_send_segments(int fd, iovec *vector, unsigned count, unsigned short segment,
                             const void *name, unsigned name_size)


cdef bint is_udp(int fd) noexcept:
    return zc_is_udp(fd)


cdef bint is_plain(int fd) noexcept:
    """Whether a send of this UDP socket is a datagram: not where UDP_CORK or UDP_SEGMENT is set."""
    return zc_is_plain(fd)


cdef bint is_refused_whole(int failed) noexcept:
    """Whether this errno of `send_segments` says that datagrams must go one by one: too large for
    the path, no checksums there, no memory for all. Any other is that of the first alone."""
    return failed in (EINVAL, EIO, EMSGSIZE, ENOBUFS, ENOMEM)


cdef int receive_segmented(int fd, bint is_wanted) noexcept:
    """0, or -errno."""
    return 0 if zc_set_gro(fd, is_wanted) == 0 else -errno


cdef unsigned segment_size(const char *control, unsigned size) noexcept:
    """How large the datagrams of a received buffer are, but for the last one; 0: it is one."""
    return zc_segment_size(control, size)


cdef ssize_t send_segments(int fd, iovec *vector, unsigned count, unsigned segment,
                           const char *name, unsigned name_size) noexcept:
    """Send `count` datagrams of `segment` bytes each (the last may be shorter); bytes sent, or
    -errno, and then not one was sent."""
    cdef ssize_t sent = zc_send_segments(fd, vector, count, segment, name, name_size)
    return sent if sent >= 0 else -errno
