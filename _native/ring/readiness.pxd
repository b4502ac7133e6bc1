# A ring whose requests zcloop carries out itself, by epoll and a few threads.

from libc.stdint cimport int64_t

from zcloop._native.kernel.epoll cimport epoll_event
from zcloop._native.ring.carrying cimport CarryingRing


cdef class ReadinessRing(CarryingRing):
    cdef int64_t asked_ns           # when epoll was last asked what is ready

    cdef int ask_epoll(self, int64_t timeout_ns) noexcept nogil
    cdef void note_events(self, epoll_event *events, int count) noexcept nogil
    cdef int wait_for_count(self, unsigned wait_count, int64_t timeout_ns) noexcept nogil
