from zcloop._native.kernel.calling_thread cimport Call
from zcloop._native.sync.words cimport Sleep


cdef class FutexThread:
    cdef int fd             # an eventfd: readable when the wait is over
    cdef Call call
    cdef Sleep target       # the thread reads it
    cdef int pid            # the process whose wait it is: a forked child has no thread
    cdef int result         # of a wait for which no thread was started
    cdef bint is_begun      # and not ended
    cdef bint is_running    # a thread was started, and not joined

    cdef void begin(self, Sleep target) noexcept
    cdef int end(self) noexcept

cdef FutexThread make_futex_thread()
