# Who a process is, so that others can tell that it has died.

from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    PID_BITS = 22               # PID_MAX_LIMIT is 2^22
    START_BITS = 25
    # pid | start << PID_BITS | UNTOLD: by such an identity nobody can tell its death.
    IDENTITY_BITS = 48

# What names this process's pid and time namespaces; 0: not to be found out.
cdef uint32_t own_namespaces() noexcept nogil
# Of this process, for others that know of each other by what `home` names.
cdef uint64_t own_identity(uint32_t home) noexcept nogil
cdef bint is_dead(uint64_t identity, uint32_t home) noexcept nogil
