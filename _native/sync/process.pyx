"""Who a process is, so that others can tell that it has died: its pid and its start time.

A pid alone is not enough, since the kernel gives it to another process later. 25 bits of the start
time, in ticks of 10 ms, repeat after 3.9 days. So a dead process is taken for a living one only if
its pid went to a process whose start lies a whole multiple of 3.9 days later, to the tick.

What is unknown is not dead. A pid means a process only in its pid namespace, and /proc shows start
times shifted by the reader's time namespace. So identities are compared only between processes in
one pair of namespaces, the home of what they share. A process elsewhere, or one that cannot read
its namespaces in /proc, signs as UNTOLD: all others take it for living, and it takes them for
living.

Rejected: to do without the home and to undo the shift. /proc shows CLOCK_BOOTTIME's offset for a
process's children, not for itself, and the time of the boot moves with the clock.
Rejected: the inode numbers of pidfs, which are true everywhere. They are there since 6.9, and
nothing finds a process by one before 6.14.
"""

import os

from zcloop._native.kernel.processes cimport getpid, getrandom, is_gone, namespaces, start_of

# The parts of an identity: see `IDENTITY_BITS`.
cdef uint64_t PID_MASK = (1 << PID_BITS) - 1
cdef uint64_t START_MASK = (1 << START_BITS) - 1
cdef uint64_t UNTOLD = <uint64_t> 1 << (PID_BITS + START_BITS)

cdef uint32_t _namespaces = 0
cdef uint64_t _identity = 0         # in memory whose home are this process's namespaces
cdef uint64_t _untold_identity = 0  # in other memory: UNTOLD, and random bits


cdef uint32_t own_namespaces() noexcept nogil:
    return _namespaces


cdef bint is_home(uint32_t home) noexcept nogil:
    return home != 0 and home == _namespaces


cdef uint64_t own_identity(uint32_t home) noexcept nogil:
    return _identity if is_home(home) else _untold_identity


cdef uint64_t signed_by(int pid, uint64_t start) noexcept nogil:
    return <uint64_t> pid | (start & START_MASK) << PID_BITS


cdef bint is_dead(uint64_t identity, uint32_t home) noexcept nogil:
    """Whether it is certain that this process has died."""
    cdef int pid = <int> (identity & PID_MASK)
    cdef long long start
    if identity & UNTOLD or not is_home(home):
        return False
    if is_gone(pid):
        return True
    # /proc may be hidden by now, or setns() may have changed what it shows: ask it what we know.
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
