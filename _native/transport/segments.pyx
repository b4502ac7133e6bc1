"""Many UDP datagrams in one system call, by the kernel's segmentation offload.

UDP_SEGMENT (Linux 4.18) sends one buffer, which the kernel cuts into datagrams of equal size.
UDP_GRO (Linux 5.0) hands up many datagrams of one sender as one buffer, and says their size.
"""

from libc.errno cimport EINVAL, EIO, EMSGSIZE, ENOMEM, errno

from zcloop._native.kernel.errors cimport ENOBUFS
from zcloop._native.kernel.udp cimport (
    zc_is_plain, zc_is_udp, zc_segment_size, zc_send_segments, zc_set_gro,
)
from zcloop._native.kernel.uio cimport iovec


cdef bint is_udp(int fd) noexcept:
    return zc_is_udp(fd)


cdef bint is_plain(int fd) noexcept:
    """Whether each send of this UDP socket is one datagram: not if the program has set UDP_CORK or
    UDP_SEGMENT."""
    return zc_is_plain(fd)


cdef bint is_refused_whole(int failed) noexcept:
    """Whether this errno of `send_segments` says that datagrams must leave one by one: they are too
    large for the path, the device makes no checksums, or there is no memory for all. Any other
    errno is the first datagram's alone."""
    return failed in (EINVAL, EIO, EMSGSIZE, ENOBUFS, ENOMEM)


cdef int receive_segmented(int fd, bint is_wanted) noexcept:
    """Switch UDP_GRO on or off. Returns 0, or -errno."""
    return 0 if zc_set_gro(fd, is_wanted) == 0 else -errno


cdef unsigned segment_size(const char *control, unsigned size) noexcept:
    """The size of each datagram in a received buffer; the last one may be shorter. 0 if the buffer
    is one datagram."""
    return zc_segment_size(control, size)


cdef ssize_t send_segments(int fd, iovec *vector, unsigned count, unsigned segment,
                           const char *name, unsigned name_size) noexcept:
    """Send `count` datagrams of `segment` bytes each; the last one may be shorter. Returns bytes
    sent, or -errno, and then none of them was sent."""
    cdef ssize_t sent = zc_send_segments(fd, vector, count, segment, name, name_size)
    return sent if sent >= 0 else -errno
