# epoll(7), with the calls on timers and descriptors that serving a ring by it takes.

from libc.stdint cimport int64_t, uint32_t, uint64_t

from zcloop._native.kernel.uio cimport msghdr

cdef extern from "<sys/epoll.h>" nogil:
    struct epoll_event:
        pass

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <fcntl.h>
    #include <sys/epoll.h>
    #include <sys/eventfd.h>
    #include <sys/socket.h>
    #include <sys/stat.h>
    #include <sys/syscall.h>
    #include <sys/timerfd.h>
    #include <time.h>
    #include <unistd.h>
    #ifndef EPOLLEXCLUSIVE
    #define EPOLLEXCLUSIVE (1u << 28)
    #endif
    #ifndef SYS_epoll_pwait2
    #define SYS_epoll_pwait2 441
    #endif

    /* The number of events, or -errno. Waits with a resolution of nanoseconds since Linux 5.11.
       Before, and where a policy refuses the newer call, of milliseconds, rounded up. */
    static int zc_epoll_wait(int epoll, struct epoll_event *events, int size, long long timeout_ns)
    {
        enum { DAY_MS = 86400000 };     /* the longest wait, which fits an int */
        static int has_no_pwait2;
        int got;
        if (timeout_ns > 0 && !has_no_pwait2) {
            struct timespec when = {timeout_ns / 1000000000, timeout_ns % 1000000000};
            got = syscall(SYS_epoll_pwait2, epoll, events, size, &when, NULL, 0);
            if (got >= 0 || (errno != ENOSYS && errno != EPERM))
                return got < 0 ? -errno : got;
            has_no_pwait2 = 1;
        }
        if (timeout_ns > 0) {
            long long ms = (timeout_ns + 999999) / 1000000;
            got = epoll_wait(epoll, events, size, ms > DAY_MS ? DAY_MS : (int) ms);
        } else
            got = epoll_wait(epoll, events, size, (int) timeout_ns);
        return got < 0 ? -errno : got;
    }
    /* 0 or errno. */
    static int zc_epoll_ctl(int epoll, int how, int fd, unsigned mask, unsigned long long data)
    {
        struct epoll_event event = {.events = mask, .data.u64 = data};
        return epoll_ctl(epoll, how, fd, &event) < 0 ? errno : 0;
    }
    static unsigned zc_events(struct epoll_event *event) { return event->events; }
    static unsigned long long zc_data(struct epoll_event *event) { return event->data.u64; }
    static int zc_is_closed(int fd) { return fcntl(fd, F_GETFD) < 0; }
    static unsigned long long zc_inode(int fd)
    {
        struct stat st;
        return fstat(fd, &st) < 0 ? 0 : st.st_ino;
    }
    /* A duplicate that exec closes, and that is none of the standard streams. */
    static int zc_copy_fd(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 3); }
    static int zc_set_timer(int fd, long long at_ns)
    {
        struct itimerspec when = {.it_value = {at_ns / 1000000000, at_ns % 1000000000}};
        return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL);
    }
    /* Whether a socket that gave less than was asked for has no more. A Unix socket also stops
       behind bytes that came with descriptors. */
    static int zc_is_short_empty(int fd)
    {
        int family = 0;
        socklen_t size = sizeof(family);
        return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0
               && (family == AF_INET || family == AF_INET6);
    }
    static int zc_recvmmsg(int fd, void *messages, unsigned count)
    {
        int got = recvmmsg(fd, messages, count, MSG_DONTWAIT, NULL);
        return got < 0 ? -errno : got;
    }
    """
    int zc_epoll_wait(int epoll, epoll_event *events, int size, int64_t timeout_ns)
    int zc_epoll_ctl(int epoll, int how, int fd, uint32_t mask, uint64_t data)
    uint32_t zc_events(epoll_event *event)
    uint64_t zc_data(epoll_event *event)
    int zc_copy_fd(int fd)
    bint zc_is_closed(int fd)
    uint64_t zc_inode(int fd)
    int zc_set_timer(int fd, int64_t at_ns)
    int zc_recvmmsg(int fd, void *messages, unsigned count)
    struct mmsghdr:
        msghdr msg_hdr
        unsigned msg_len
    bint is_short_empty "zc_is_short_empty"(int fd)
    int epoll_create1(int flags)
    int timerfd_create(int clock, int flags)
    enum:
        CLOCK_MONOTONIC
        EPOLLERR
        EPOLLET "((unsigned)EPOLLET)"
        EPOLLEXCLUSIVE
        EPOLLHUP
        EPOLLIN
        EPOLLONESHOT
        EPOLLOUT
        EPOLLPRI
        EPOLLRDHUP
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_DEL
        EPOLL_CTL_MOD
        SPLICE_F_NONBLOCK
        TFD_CLOEXEC
        TFD_NONBLOCK

cdef extern from * nogil:
    """
    #include <sys/epoll.h>
    #include <sys/stat.h>
    #include <unistd.h>
    /* The same as zcloop would find out by epoll, if there is no descriptor left for one. */
    static int zc_pollable_by_type(int fd)
    {
        struct stat st;
        if (fstat(fd, &st) < 0)
            return errno;
        return S_ISREG(st.st_mode) || S_ISDIR(st.st_mode) ? EPERM : 0;
    }

    /* 0 if the file can be polled, else the errno that epoll_ctl gives. A file that cannot seek,
       such as a socket or a pipe, can be polled. Which others can, only the kernel knows:
       /dev/random and an eventfd can, /dev/zero and a file on a disk cannot, and each poll of these
       would end at once. */
    static int zc_pollable(int fd)
    {
        struct epoll_event event = { .events = EPOLLIN };
        int refused = 0;
        int epoll;
        if (lseek(fd, 0, SEEK_CUR) < 0 && (errno == ESPIPE || errno == EBADF))
            return errno == EBADF ? EBADF : 0;
        epoll = epoll_create1(EPOLL_CLOEXEC);
        if (epoll < 0)
            return zc_pollable_by_type(fd);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 && errno == EPERM)
            refused = EPERM;
        close(epoll);
        return refused;
    }
    """
    int zc_pollable(int fd)

cdef extern from * nogil:
    """
    #include <sys/epoll.h>
    #include <unistd.h>
    /* An epoll fd that tells of edges of `fd`, and of `stop_fd` as long as that is readable. -1 and
       errno if there is none. */
    static int zc_edges_of(int fd, int stop_fd)
    {
        struct epoll_event edges = { .events = EPOLLIN | EPOLLET, .data.fd = fd };
        struct epoll_event stop = { .events = EPOLLIN, .data.fd = stop_fd };
        int poller = epoll_create1(EPOLL_CLOEXEC);
        int failed;
        if (poller >= 0 && (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &edges) < 0
                            || epoll_ctl(poller, EPOLL_CTL_ADD, stop_fd, &stop) < 0)) {
            failed = errno;
            close(poller);
            errno = failed;
            return -1;
        }
        return poller;
    }
    /* Wait for either, or only look. Returns whether the caller is to stop. */
    static int zc_is_stopped(int poller, int stop_fd, int is_waiting)
    {
        struct epoll_event events[2];
        int count = epoll_wait(poller, events, 2, is_waiting ? -1 : 0);
        while (count-- > 0)
            if (events[count].data.fd == stop_fd)
                return 1;
        return 0;
    }
    """
    int zc_edges_of(int fd, int stop_fd)
    bint zc_is_stopped(int poller, int stop_fd, bint is_waiting)
