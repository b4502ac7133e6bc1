"""Many UDP datagrams in one system call, by the kernel's segmentation offload: one buffer that it
cuts into equal datagrams (UDP_SEGMENT, since 4.18), and many of one sender that it hands up as one
buffer with their size (UDP_GRO, since 5.0)."""

from libc.errno cimport EINVAL, EIO, EMSGSIZE, ENOMEM, errno

from zcloop._native.kernel.errors cimport ENOBUFS
from zcloop._native.kernel.udp cimport (
    zc_is_plain, zc_is_udp, zc_segment_size, zc_send_segments, zc_set_gro,
)
from zcloop._native.kernel.uio cimport iovec


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
