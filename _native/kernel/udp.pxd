# Segmentation of UDP: UDP_SEGMENT and UDP_GRO of udp(7).

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

    /* Whether it is UDP: other protocols of datagrams, and raw sockets, ignore UDP_SEGMENT, and
       would send a run as one datagram. */
    static int zc_is_udp(int fd)
    {
        int domain = zc_option(fd, SOL_SOCKET, SO_DOMAIN);
        return (domain == AF_INET || domain == AF_INET6)
            && zc_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM
            && zc_option(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDP;
    }

    /* Whether the program has set neither option by which the kernel puts sends together, until the
       cork is drawn, or cuts them. */
    static int zc_is_plain(int fd)
    {
        return zc_option(fd, IPPROTO_UDP, UDP_CORK) == 0
            && zc_option(fd, IPPROTO_UDP, UDP_SEGMENT) == 0;
    }

    /* The int of a UDP_GRO message: the size of each datagram, 0 if there is no such message. */
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
