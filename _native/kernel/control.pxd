# Control data of messages: cmsg(3).

from zcloop._native.kernel.uio cimport msghdr

cdef extern from "<sys/socket.h>" nogil:
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    cmsghdr *CMSG_FIRSTHDR(msghdr *header)
    cmsghdr *CMSG_NXTHDR(msghdr *header, cmsghdr *one)
    unsigned char *CMSG_DATA(cmsghdr *one)
    size_t CMSG_LEN(size_t size)
    size_t CMSG_SPACE(size_t size)
    enum:
        MSG_CMSG_CLOEXEC
        SCM_RIGHTS
        SOL_SOCKET
