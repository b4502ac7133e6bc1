from zcloop._native.kernel.uio cimport iovec

cdef enum:
    SEGMENTS_MAX = 64       # datagrams in one send: UDP_MAX_SEGMENTS of kernels before 6.9
    # Bytes: CMSG_SPACE of the one control message, an int, is 24 on 64-bit machines. The payload
    # that follows is then aligned by 16.
    CONTROL_SIZE = 32

cdef bint is_udp(int fd) noexcept
cdef bint is_plain(int fd) noexcept
cdef bint is_refused_whole(int failed) noexcept
cdef int receive_segmented(int fd, bint is_wanted) noexcept
cdef unsigned segment_size(const char *control, unsigned size) noexcept
cdef ssize_t send_segments(int fd, iovec *vector, unsigned count, unsigned segment,
                           const char *name, unsigned name_size) noexcept
