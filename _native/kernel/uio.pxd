# Memory in several pieces, for sendmsg(2), writev(2) and preadv2(2).

from libc.stdint cimport int64_t

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len
    ssize_t writev(int fd, const iovec *vector, int count)

cdef extern from "<sys/socket.h>" nogil:
    struct msghdr:
        void *msg_name
        unsigned msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <sys/syscall.h>
    #include <sys/uio.h>
    #include <unistd.h>
    #ifndef RWF_NOWAIT
    #define RWF_NOWAIT 8        /* since Linux 4.14 */
    #endif
    /* By their numbers: musl has these functions since 1.2.5 (2024), and a wheel for musllinux_1_2
       must not need that. */
    static ssize_t zc_preadv2(int fd, const struct iovec *vector, int count, int64_t offset,
                              int flags)
    {
        return syscall(SYS_preadv2, fd, vector, count, (long) offset, 0L, flags);
    }
    static ssize_t zc_pwritev2(int fd, const struct iovec *vector, int count, int64_t offset,
                               int flags)
    {
        return syscall(SYS_pwritev2, fd, vector, count, (long) offset, 0L, flags);
    }
    """
    ssize_t preadv2 "zc_preadv2"(int fd, const iovec *vector, int count, int64_t offset, int flags)
    ssize_t pwritev2 "zc_pwritev2"(int fd, const iovec *vector, int count, int64_t offset,
                                   int flags)
    enum:
        RWF_NOWAIT
