# A shared ring over epoll: a thread of its own carries requests on while the program does else.

from zcloop._native.kernel.pthread cimport pthread_t
from zcloop._native.kernel.workers cimport pthread_mutex_t
from zcloop._native.ring.readiness cimport ReadinessRing


cdef class PumpedRing(ReadinessRing):
    cdef pthread_mutex_t lock       # of all that the ring has but the ends of its queues
    cdef pthread_t thread
    cdef int bell_fd                # readable while there is a completion: the ring's fd
    cdef int news_fd                # readable once something has completed after `sleep` began
    cdef unsigned told              # completions there were when bell and news were last written
    cdef unsigned is_stopped
    cdef bint has_thread
    cdef int pid                    # of the process that has the thread: a forked child has none

    cdef void tell(self) noexcept nogil
    cdef void pump(self) noexcept nogil
    cdef void stop(self) noexcept nogil
