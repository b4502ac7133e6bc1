# Threads with no Python in them that make blocking system calls for whoever may not block.

from zcloop._native.kernel.pthread cimport pthread_mutex_t, pthread_t

ctypedef int (*JobWork)(Job *job) noexcept nogil    # a result, or -errno

# One call. It is the asker's before `start_job` and after `take_done`; between them the pool's.
cdef struct Job:
    Job *next
    JobWork work
    Inbox *inbox
    pthread_t thread    # who runs it
    int result
    unsigned is_running
    unsigned is_ended   # nobody wants it any more: -EINTR is an answer

# Where the jobs of one asker come back to; `event_fd` is readable while there are some.
cdef struct Inbox:
    pthread_mutex_t lock
    Job *first
    Job *last
    int event_fd

cdef void open_inbox(Inbox *inbox, int event_fd) noexcept nogil
cdef int start_job(Job *job) noexcept nogil         # 0, or -errno: no thread is to be had
cdef bint withdraw_job(Job *job) noexcept nogil     # whether no thread had taken it yet
cdef void call_out(Job *job) noexcept nogil         # of its call, if it is in one; again until done
cdef Job *take_done(Inbox *inbox) noexcept nogil    # NULL: there is none
