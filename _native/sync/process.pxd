# Who a process is, so that others can tell that it has died.

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    PID_BITS = 22               # PID_MAX_LIMIT is 2^22
    START_BITS = 25             # what remains of 48 bits
    # pid | start << PID_BITS, and the bit UNTOLD: nobody can tell whether its process has died.
    IDENTITY_BITS = 48          # the other 16 bits of a 64-bit word are the user's

# A number for this process's pid and time namespaces; 0: they cannot be found out.
cdef uint32_t own_namespaces() noexcept nogil
# What this process signs with in memory whose `home` is that number.
cdef uint64_t own_identity(uint32_t home) noexcept nogil
cdef bint is_dead(uint64_t identity, uint32_t home) noexcept nogil
