# poll(2), and its masks, which polls of a ring have, too.

from libc.stdint cimport int64_t

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout)
    enum:
        POLLIN
        POLLOUT
        POLLERR
        POLLHUP
        POLLNVAL
        POLLRDHUP "0x2000"      # glibc has it with _GNU_SOURCE

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <poll.h>
    #include <time.h>
    static int zc_wait_readable(int fd, long long timeout_ns)
    {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        struct timespec when = {timeout_ns / 1000000000, timeout_ns % 1000000000};
        return ppoll(&one, 1, timeout_ns < 0 ? NULL : &when, NULL) < 0 ? -errno : 0;
    }
    """
    int zc_wait_readable(int fd, int64_t timeout_ns)
