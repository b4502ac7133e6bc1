# Threads without Python that make blocking system calls for callers who may not block.

from zcloop._native.kernel.pthread cimport pthread_mutex_t, pthread_t

ctypedef int (*JobWork)(Job *job) noexcept nogil    # a result, or -errno

# One call. It is the caller's before `start_job` and after `take_done`, and the pool's in between.
cdef struct Job:
    Job *next           # in the queue, or in the inbox
    JobWork work
    Inbox *inbox        # where it comes back to
    pthread_t thread    # that runs it
    int result          # of `work`
    unsigned is_running     # a thread is at it
    unsigned is_ended       # nobody wants it any more, so that -EINTR is a result

# Where the jobs of one caller come back to; `event_fd` is readable while there are some.
cdef struct Inbox:
    pthread_mutex_t lock
    Job *first
    Job *last
    int event_fd

cdef void open_inbox(Inbox *inbox, int event_fd) noexcept nogil
cdef int start_job(Job *job) noexcept nogil
cdef bint withdraw_job(Job *job) noexcept nogil
cdef void call_out(Job *job) noexcept nogil
cdef Job *take_done(Inbox *inbox) noexcept nogil
