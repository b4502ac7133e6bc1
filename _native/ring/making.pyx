"""Which ring there is here: the kernel's, or, where it is refused, one over epoll.

"auto" takes io_uring where a ring can be made and answers its first request, and else epoll; the
first time in a process one line of the log says why. "uring" and "epoll" insist.
"""

import errno
import logging
import os

from libc.errno cimport ENOMEM

from zcloop._native.ring.pumped cimport PumpedRing
from zcloop._native.ring.readiness cimport ReadinessRing
from zcloop._native.ring.uring cimport UringRing

from zcloop._native.ring.uring import self_test

BACKENDS = ("auto", "uring", "epoll")

# Since 6.13 a ring counts against RLIMIT_MEMLOCK, which is of all of a user's processes: 52 KiB of
# 256 entries and 2048 completions, 16 KiB of 64 and 512, 8 KiB of 16 and 128 and of any fewer.
cdef unsigned ENTRIES_MIN = 16

# The first ring of a process proves that the kernel answers, and in the layout compiled for.
cdef bint _is_tested = False
cdef bint _is_fallback_logged = False


def wanted_backend(backend=None):
    """The one that is asked for: an argument, else ZCLOOP_BACKEND, else "auto". ValueError for one
    that there is not."""
    source = "backend"
    if backend is None:
        source = "ZCLOOP_BACKEND"
        backend = os.environ.get("ZCLOOP_BACKEND") or "auto"
    if backend not in BACKENDS:
        raise ValueError(f"{source}={backend!r}: {', '.join(map(repr, BACKENDS))} are possible")
    return backend


cdef Ring make_uring(unsigned entries, unsigned cq_entries, bint is_shared):
    """A ring of so many entries, or where RLIMIT_MEMLOCK leaves no room for it, of fewer. A shared
    one has what was asked for: the program counts on its bound."""
    global _is_tested
    if not _is_tested:
        self_test()
        _is_tested = True
    while True:
        try:
            return UringRing(entries, cq_entries, is_shared)
        except OSError as error:
            if error.errno != ENOMEM or is_shared or entries <= ENTRIES_MIN:
                raise
            entries //= 4
            cq_entries //= 4


cdef Ring make_readiness(unsigned entries, unsigned cq_entries, bint is_shared):
    if is_shared:
        return PumpedRing(entries, cq_entries, True)
    return ReadinessRing(entries, cq_entries)


cdef Ring make_ring(object backend, unsigned entries, unsigned cq_entries, bint is_shared):
    """Of a backend that `wanted_backend` has given. OSError, saying what to do, where what was
    insisted on cannot be had."""
    if backend == "epoll":
        return make_readiness(entries, cq_entries, is_shared)
    if backend == "uring":
        return make_uring(entries, cq_entries, is_shared)
    try:
        return make_uring(entries, cq_entries, is_shared)
    except (OSError, ImportError) as error:
        ring = make_readiness(entries, cq_entries, is_shared)
        log_fallback(error)
        return ring


cdef int log_fallback(error) except -1:
    global _is_fallback_logged
    if not _is_fallback_logged:
        _is_fallback_logged = True
        number = getattr(error, "errno", None)
        name = errno.errorcode.get(number, "") if number else type(error).__name__
        logging.getLogger("zcloop").info(
            "running on epoll, since io_uring is not to be had (%s: %s)", name,
            getattr(error, "strerror", None) or error)
    return 0
