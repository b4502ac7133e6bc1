"""Who a process is, so that others can tell that it has died: its pid and its start time.

A pid alone is not enough, for the kernel gives it to others later. Pids count in one namespace:
who shares memory must see each other's. 26 bits of the start time, in ticks of 10 ms, repeat
after 7.7 days, so that a dead process is taken for a living one only if its pid went to a process
that started in the same tick of another such period.
"""

import os

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <signal.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <unistd.h>

    /* The start time in ticks, -1 when the process is dead, -2 when nobody says. */
    static long long zc_start_of(int pid)
    {
        char path[32], text[1024], *at;
        int fd, field, threads = 0;
        ssize_t size;
        char state;
        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        size = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (fd >= 0)
            close(fd);
        if (size <= 0)      /* hidden from us, or no /proc: a signal can still be addressed */
            return kill(pid, 0) < 0 && errno == ESRCH ? -1 : -2;
        text[size] = 0;
        at = strrchr(text, ')');        /* the name may hold anything */
        if (at == NULL || at + 2 >= text + size)
            return -2;
        state = at[2];
        at += 2;
        for (field = 3; field < 22; field++) {
            if (field == 20)
                threads = atoi(at);
            at = strchr(at, ' ');
            if (at == NULL)
                return -2;
            at++;
        }
        /* A zombie is dead, unless only its first thread has ended. */
        if (state == 'X' || (state == 'Z' && threads <= 1))
            return -1;
        return atoll(at);
    }
    """
    long long start_of "zc_start_of"(int pid)
    int getpid()

cdef uint64_t PID_MASK = (1 << PID_BITS) - 1
cdef uint64_t START_MASK = (1 << START_BITS) - 1

cdef uint64_t _identity = 0


cdef uint64_t own_identity() noexcept nogil:
    return _identity


cdef bint is_dead(uint64_t identity) noexcept nogil:
    cdef long long start = start_of(<int> (identity & PID_MASK))
    return start == -1 or (start >= 0
                           and <uint64_t> start & START_MASK != identity >> PID_BITS & START_MASK)


def _remember():
    global _identity
    cdef long long start = start_of(getpid())
    _identity = <uint64_t> getpid() | (<uint64_t> (start if start > 0 else 0) & START_MASK) \
        << PID_BITS


_remember()
os.register_at_fork(after_in_child=_remember)
