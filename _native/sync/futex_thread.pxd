from libc.stdint cimport uint32_t

from zcloop._native.kernel.calling_thread cimport Call

# What the thread reads: the word, and the value at which it sleeps.
cdef struct Sleep:
    uint32_t *word
    uint32_t expected


cdef class FutexThread:
    cdef int fd             # an eventfd: readable when the wait is over
    cdef Call call
    cdef Sleep target
    cdef int pid            # whose wait it is: a forked child has no thread
    cdef int result         # of a wait for which no thread was started
    cdef bint is_begun      # and not ended
    cdef bint is_running    # a thread was started, and not joined

    cdef void begin(self, uint32_t *word, uint32_t expected) noexcept
    cdef int end(self) noexcept

cdef FutexThread make_futex_thread()
