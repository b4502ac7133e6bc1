# What /proc says of processes: proc(5).

from libc.stdint cimport uint32_t

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

    /* Read what the file says, as a string. Returns its size, less than 1 if it says nothing. */
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

    /* Whether /proc is that of our own pid namespace: then this process has one pid there. */
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

    /* A number for this process's namespaces of pids and of time, 0 if /proc does not show its
       own. Two different pairs of namespaces have the same number once in 2^31. */
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

    /* The start time of a process in ticks, -1 if it is dead, -2 if /proc does not say. */
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
