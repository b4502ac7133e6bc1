cdef enum:
    SEGMENTS_MAX = 64       # UDP_MAX_SEGMENTS of kernels before 6.9
    CONTROL_SIZE = 32       # room for the one control message, 16-aligned

cdef int receive_segmented(int fd, bint is_wanted) noexcept
cdef unsigned segment_size(const char *control, unsigned size) noexcept
cdef ssize_t send_segments(int fd, list pieces, unsigned segment, const char *name,
                           unsigned name_size) except? -1
