from libc.errno cimport EAGAIN, EINTR

from zcloop._native.kernel.errors cimport ECANCELED
from zcloop._native.transport.stream cimport Stream


cdef class Pipe(Stream):
    cdef readonly object pipe       # the program's file object, which owns the fd

cdef inline bint is_poll_over(int result) noexcept:
    """Whether a poll of a pipe has failed for good: submitted again, it would fail again."""
    return result < 0 and result != -ECANCELED and result != -EINTR and result != -EAGAIN
