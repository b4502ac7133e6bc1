# A thread with no Python in it that makes one blocking call, and can be called out of it.

from zcloop._native.kernel.pthread cimport pthread_t

ctypedef int (*Work)(void *argument) noexcept nogil     # a result, or -errno; -EINTR: go on

# What the two threads share; `result` is the thread's until it was joined.
cdef struct Call:
    Work work
    void *argument
    pthread_t thread
    int event_fd        # readable once the thread is done
    int signal          # what calls it out
    int result
    unsigned is_ended   # nobody wants it any more

ctypedef void *(*Run)(void *argument) noexcept nogil

# One that is to be joined or detached, and that no signal disturbs but the one that calls out: 0 or
# -errno.
cdef int start_thread(Run run, void *argument, pthread_t *thread) noexcept nogil
cdef int start_call(Call *call) noexcept            # 0 or -errno
cdef int finish_call(Call *call) noexcept nogil     # the result of one that is done
cdef int end_call(Call *call) noexcept nogil        # the same, or -EINTR: nothing has happened
cdef int call_out_signal() noexcept nogil   # its handler does nothing; 0: none is free
