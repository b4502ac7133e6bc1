"""Which ring there is here: the kernel's, or, where it is refused, one over epoll.

The backend "auto" is io_uring where a ring can be made and answers its first request, and else
epoll. The first time that this happens in a process, one line of the log says why. "uring" and
"epoll" insist.
"""

import errno
import logging
import os

from libc.errno cimport ENOMEM

from zcloop._native.ring.pumped cimport PumpedRing
from zcloop._native.ring.readiness cimport ReadinessRing
from zcloop._native.ring.uring cimport UringRing

from zcloop._native.ring.uring import self_test

BACKENDS = ("auto", "uring", "epoll")      # what a program may ask for

# Since 6.13 a ring counts against RLIMIT_MEMLOCK, which all processes of a user share. One of 256
# entries and 2,048 completions counts 52 KiB, one of 64 and 512 counts 16 KiB, one of 16 and 128
# counts 8 KiB, and a smaller one no less. So there is no point in asking for fewer entries.
cdef unsigned ENTRIES_MIN = 16

# The first ring of a process proves that the kernel answers, in the layout that was compiled for.
cdef bint _is_tested = False
cdef bint _is_fallback_logged = False


def wanted_backend(backend=None):
    """The backend that is asked for: the argument, else ZCLOOP_BACKEND, else "auto". ValueError for
    a name that is none of BACKENDS."""
    source = "backend"
    if backend is None:
        source = "ZCLOOP_BACKEND"
        backend = os.environ.get("ZCLOOP_BACKEND") or "auto"
    if backend not in BACKENDS:
        raise ValueError(f"{source}={backend!r}: {', '.join(map(repr, BACKENDS))} are possible")
    return backend


cdef Ring make_uring(unsigned entries, unsigned cq_entries, bint is_shared):
    """A ring of so many entries, or of fewer where RLIMIT_MEMLOCK leaves no room for it. A shared
    ring has as many as were asked for or none: they are the bound that the program counts on."""
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
    """A ring of the backend that `wanted_backend` gave. Where a backend that was insisted on cannot
    be had, the OSError says what to do."""
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
