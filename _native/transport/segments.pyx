"""Many UDP datagrams in one system call, by the kernel's segmentation offload: one buffer that it
cuts into equal datagrams (UDP_SEGMENT, since 4.18), and many of one sender that it hands up as one
buffer with their size (UDP_GRO, since 5.0)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.errno cimport errno

from zcloop._native.memory.region cimport lease_of
from zcloop._native.operation.send cimport iovec

cdef extern from * nogil:
    """
    #include <netinet/in.h>
    #include <netinet/udp.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/socket.h>

    static int zc_set_gro(int fd, int value)
    {
        return setsockopt(fd, IPPROTO_UDP, UDP_GRO, &value, sizeof(value));
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
    unsigned zc_segment_size(const char *control, unsigned size)
    ssize_t zc_send_segments(int fd, iovec *vector, unsigned count, unsigned short segment,
                             const void *name, unsigned name_size)


cdef int receive_segmented(int fd, bint is_wanted) noexcept:
    """0, or -errno."""
    return 0 if zc_set_gro(fd, is_wanted) == 0 else -errno


cdef unsigned segment_size(const char *control, unsigned size) noexcept:
    """The size of each datagram (the last may be shorter) of a buffer; 0: it is just one."""
    return zc_segment_size(control, size)


cdef ssize_t send_segments(int fd, list pieces, unsigned segment, const char *name,
                           unsigned name_size) except? -1:
    """Send datagrams of `segment` bytes each (the last may be shorter); bytes sent, or -errno.

    Each piece is bytes or a view of a lease, at most SEGMENTS_MAX of them.
    """
    cdef iovec[SEGMENTS_MAX] vector
    cdef const char *start
    cdef size_t size
    cdef unsigned index
    cdef ssize_t sent
    for index in range(<unsigned> len(pieces)):
        piece = pieces[index]
        if type(piece) is bytes:
            start = PyBytes_AS_STRING(piece)
            size = PyBytes_GET_SIZE(piece)
        else:
            lease_of(piece, &start, &size)
        vector[index].iov_base = <void *> start
        vector[index].iov_len = size
    sent = zc_send_segments(fd, vector, <unsigned> len(pieces), segment, name, name_size)
    return sent if sent >= 0 else -errno
