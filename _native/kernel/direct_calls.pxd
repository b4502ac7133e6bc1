# System calls that do at once what a request of a ring asks for, and what `ring.attempt` asks of a
# descriptor before it makes one.

from libc.stdint cimport int64_t

from zcloop._native.kernel.uio cimport iovec, msghdr

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <limits.h>
    #include <poll.h>
    #include <sys/socket.h>
    #include <sys/stat.h>
    #include <sys/syscall.h>
    #include <sys/uio.h>
    #include <unistd.h>
    /* Whether the file has no readiness, so that a call on it takes the time of a disk. */
    static int zc_is_on_disk(int fd)
    {
        struct stat st;
        return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)
                                       || S_ISBLK(st.st_mode));
    }
    static int zc_is_ready(int fd, int mask)
    {
        struct pollfd one = {.fd = fd, .events = mask};
        return poll(&one, 1, 0) != 0;
    }
    /* Let a descriptor block no more. Returns its flags, for zc_block_again, or -1 if it did not
       block anyway. */
    static int zc_unblock(int fd)
    {
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || flags & O_NONBLOCK)
            return -1;
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        return flags;
    }
    static void zc_block_again(int fd, int flags)
    {
        int failed = errno;
        if (flags >= 0)
            fcntl(fd, F_SETFL, flags);
        errno = failed;
    }
    static int zc_blocks(int fd)
    {
        int flags = fcntl(fd, F_GETFL);
        return flags >= 0 && !(flags & O_NONBLOCK);
    }
    static int zc_listens(int fd)
    {
        int listens = 0;
        socklen_t size = sizeof(listens);
        return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens;
    }
    /* Whether MSG_WAITALL waits for the rest. A datagram has no rest. */
    static int zc_goes_on(int fd)
    {
        int type = 0;
        socklen_t size = sizeof(type);
        return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0
               && (type == SOCK_STREAM || type == SOCK_SEQPACKET);
    }
    static int zc_accept4(int fd, void *name, void *size, int flags)
    {
        return accept4(fd, name, size, flags);
    }
    static int zc_statx(int fd, const char *path, int flags, unsigned mask, void *room)
    {
        return syscall(SYS_statx, fd, path, flags, mask, room);
    }
    /* Set the priority of the thread's input and output (ioprio_set(2)); 0 is the default. */
    static int zc_set_priority(int priority)
    {
        enum { IOPRIO_WHO_PROCESS = 1 };    /* with the number 0: the calling thread */
        return syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority);
    }
    """
    bint zc_is_on_disk(int fd)
    bint zc_is_ready(int fd, int mask)
    int zc_unblock(int fd)
    void zc_block_again(int fd, int flags)
    bint zc_blocks(int fd)
    bint zc_listens(int fd)
    bint zc_goes_on(int fd)
    int zc_accept4(int fd, void *name, void *size, int flags)
    int zc_statx(int fd, const char *path, int flags, unsigned mask, void *room)
    int zc_set_priority(int priority)
    ssize_t recvmsg(int fd, msghdr *message, int flags)
    int getsockopt(int fd, int level, int name, void *value, unsigned *size)
    struct sockaddr:
        pass
    int connect(int fd, const sockaddr *address, unsigned size)
    ssize_t readv(int fd, const iovec *vector, int count)
    ssize_t splice(int source, int64_t *source_offset, int target, int64_t *target_offset,
                   size_t size, unsigned flags)
    int openat(int fd, const char *path, int flags, unsigned mode)
    int close(int fd)
    int fsync(int fd)
    int fdatasync(int fd)
    int fallocate(int fd, int mode, int64_t offset, int64_t size)
    int ftruncate(int fd, int64_t size)
    enum:
        MSG_OOB
        POLLPRI
        SOCK_NONBLOCK
        SOL_SOCKET
        SO_ERROR
        SPLICE_F_NONBLOCK
