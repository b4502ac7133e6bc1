# Who a process is, so that others can tell that it has died.

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    PID_BITS = 22               # PID_MAX_LIMIT is 2^22
    START_BITS = 26

# pid | (start time in clock ticks) << PID_BITS, of this process.
cdef uint64_t own_identity() noexcept nogil
cdef bint is_dead(uint64_t identity) noexcept nogil
