# A shared ring over epoll: a thread of its own carries requests on while the program does else.

from zcloop._native.kernel.pthread cimport pthread_t
from zcloop._native.kernel.workers cimport pthread_mutex_t
from zcloop._native.ring.readiness cimport ReadinessRing


cdef class PumpedRing(ReadinessRing):
    cdef pthread_mutex_t lock       # of all that a ring over epoll has, but the queues' ends
    cdef pthread_t thread
    cdef int bell_fd                # readable while there is a completion: the ring's fd
    cdef int news_fd                # readable once there is one more than at the last sleep
    cdef unsigned told              # completions that have been rung for
    cdef unsigned is_stopped
    cdef bint has_thread
    cdef int pid                    # whose thread it is

    cdef void tell(self) noexcept nogil
    cdef void pump(self) noexcept nogil
    cdef void stop(self) noexcept nogil
