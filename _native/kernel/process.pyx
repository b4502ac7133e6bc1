"""Who a process is, so that others can tell that it has died: its pid and its start time.

A pid alone is not enough, for the kernel gives it to others later. 25 bits of the start time, in
ticks of 10 ms, repeat after 3.9 days, so that a dead process is taken for a living one only if its
pid went to a process that started in the same tick of another such period.

What is unknown is not dead. A pid means a process only in its pid namespace, and /proc shows start
times shifted by the reader's time namespace. So identities are compared among processes of one pair
of namespaces, the home of what they share. Others, and those that /proc does not tell where they
are, sign as UNTOLD: they are taken for living by all, and take all for living.

Rejected: to do without the home and undo the shift (CLOCK_BOOTTIME's offset is shown for a
process's children, not for itself; the time of the boot moves with the clock); pidfs's inode
numbers, which are true everywhere (since 6.9; nothing finds a process by one before 6.14).
"""

import os

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <fcntl.h>
    #include <signal.h>
    #include <stdint.h>
    #include <stdio.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/random.h>
    #include <sys/stat.h>
    #include <unistd.h>

    /* What the file says, as a string; less than 1 when it says nothing. */
    static ssize_t zc_read_text(const char *path, char *text, size_t room)
    {
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = fd < 0 ? -1 : read(fd, text, room - 1);
        if (fd >= 0)
            close(fd);
        text[size > 0 ? size : 0] = 0;
        return size;
    }

    static int zc_is_gone(int pid)
    {
        return kill(pid, 0) < 0 && errno == ESRCH;
    }

    /* Whether /proc is that of our own pid namespace: no other pid of ours is known there. */
    static int zc_has_own_proc(void)
    {
        char text[4096], link[32], *line, *end;
        ssize_t size;
        if (zc_read_text("/proc/self/status", text, sizeof(text)) <= 0)
            return 0;
        line = strstr(text, "\\nNSpid:");
        if (line != NULL)
            return strtol(line + 7, &end, 10) == getpid() && *end == '\\n';
        size = readlink("/proc/self", link, sizeof(link) - 1);    /* a kernel with one namespace */
        link[size > 0 ? size : 0] = 0;
        return atoi(link) == getpid();
    }

    /* Two different pairs of namespaces have the same number once in 2^32. */
    static uint32_t zc_namespaces(void)
    {
        struct stat pids, times;
        uint64_t mixed;
        if (!zc_has_own_proc())
            return 0;
        if (stat("/proc/self/ns/pid", &pids) < 0)
            pids.st_ino = 0;
        if (stat("/proc/self/ns/time", &times) < 0)     /* since 5.6 */
            times.st_ino = 0;
        mixed = ((uint64_t) pids.st_ino * 0x9E3779B97F4A7C15u ^ times.st_ino) * 0xD6E8FEB86659FD93u;
        return (uint32_t) (mixed >> 32) | 1;
    }

    /* The start time in ticks, -1 when the process is dead, -2 when nobody says. */
    static long long zc_start_of(int pid)
    {
        char path[32], text[1024], *at;
        int field, threads = 0;
        ssize_t size;
        char state;
        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        size = zc_read_text(path, text, sizeof(text));
        if (size <= 0)
            return -2;
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
    bint is_gone "zc_is_gone"(int pid)
    uint32_t namespaces "zc_namespaces"()
    int getpid()
    ssize_t getrandom(void *data, size_t size, unsigned flags)

cdef uint64_t PID_MASK = (1 << PID_BITS) - 1
cdef uint64_t START_MASK = (1 << START_BITS) - 1
cdef uint64_t UNTOLD = <uint64_t> 1 << (PID_BITS + START_BITS)

cdef uint32_t _namespaces = 0
cdef uint64_t _identity = 0         # to be told by all of the same namespaces
cdef uint64_t _untold_identity = 0  # to others: UNTOLD, and what hardly anybody else has


cdef uint32_t own_namespaces() noexcept nogil:
    return _namespaces


cdef bint is_home(uint32_t home) noexcept nogil:
    return home != 0 and home == _namespaces


cdef uint64_t own_identity(uint32_t home) noexcept nogil:
    return _identity if is_home(home) else _untold_identity


cdef uint64_t signed_by(int pid, uint64_t start) noexcept nogil:
    return <uint64_t> pid | (start & START_MASK) << PID_BITS


cdef bint is_dead(uint64_t identity, uint32_t home) noexcept nogil:
    """False, too, of whom that cannot be told."""
    cdef int pid = <int> (identity & PID_MASK)
    cdef long long start
    if identity & UNTOLD or not is_home(home):
        return False
    if is_gone(pid):
        return True
    # /proc may have been hidden since, or setns() have changed what it shows: ask for what we know.
    if signed_by(getpid(), <uint64_t> start_of(getpid())) != _identity:
        return False
    start = start_of(pid)
    return start == -1 or (start >= 0 and signed_by(pid, <uint64_t> start) != identity)


def _remember():
    global _namespaces, _identity, _untold_identity
    cdef uint64_t chance = 0
    cdef long long start = start_of(getpid())
    getrandom(&chance, sizeof(chance), 0)
    _namespaces = namespaces() if start >= 0 else 0
    _identity = signed_by(getpid(), <uint64_t> start)
    _untold_identity = signed_by(getpid(), chance) | UNTOLD


_remember()
os.register_at_fork(after_in_child=_remember)
