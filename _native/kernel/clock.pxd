# Clocks. Loops measure by CLOCK_MONOTONIC, which takes some 30 ns and no system call. The CPU time
# of the calling thread takes a system call.

from libc.stdint cimport int64_t

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int clock, timespec *now)
    enum:
        CLOCK_MONOTONIC
        CLOCK_MONOTONIC_COARSE      # a resolution of some ms, at a fifth of the cost
        CLOCK_THREAD_CPUTIME_ID


cdef inline int64_t monotonic_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * <int64_t> 1000000000 + now.tv_nsec


cdef inline double monotonic() noexcept nogil:
    """CLOCK_MONOTONIC in seconds."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


cdef inline int64_t thread_cpu_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now)
    return now.tv_sec * <int64_t> 1000000000 + now.tv_nsec
