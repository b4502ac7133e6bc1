"""A pool of threads for system calls that block and have no readiness: of disks, open(2), statx(2).

    a job is        it is in
    queued          the one queue of the process
    running         the hands of a thread, which makes the call
    done            the inbox of its caller, whose eventfd the thread has written

A thread is started when a job finds none idle, up to 64 of them, and ends after ten idle seconds.
The threads run no Python and block every signal but one, so that the program's signals come where
they came before. That one signal calls a thread out of its call; it is the one of `calling_thread`.
A signal that comes before the thread is in the call is lost, so the caller sends it again each
millisecond.

A forked child has none of the threads. Its pool begins anew, and what was queued is the parent's.
"""

from libc.errno cimport EINTR
from libc.stdint cimport uint64_t
from posix.unistd cimport write

from zcloop._native.kernel.atomics cimport load_acquire, store_release
from zcloop._native.kernel.calling_thread cimport call_out_signal, start_thread
from zcloop._native.kernel.pthread cimport (
    pthread_atfork, pthread_cond_init, pthread_cond_signal, pthread_cond_t, pthread_detach,
    pthread_kill, pthread_mutex_init, pthread_mutex_lock, pthread_mutex_unlock, pthread_self,
)

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <pthread.h>
    #include <signal.h>
    #include <sys/prctl.h>
    #include <time.h>
    static int zc_wait_seconds(pthread_cond_t *condition, pthread_mutex_t *lock, int seconds)
    {
        struct timespec when;
        clock_gettime(CLOCK_REALTIME, &when);
        when.tv_sec += seconds;
        return pthread_cond_timedwait(condition, lock, &when);
    }
    static void zc_name_thread(void) { prctl(PR_SET_NAME, "zcloop worker"); }
    """
    int zc_wait_seconds(pthread_cond_t *condition, pthread_mutex_t *lock, int seconds)
    void zc_name_thread()
    enum:
        ETIMEDOUT

# Threads of a process. Reads of a disk need few, but each open(2) of a pipe that nobody opens at
# the other end keeps one.
cdef unsigned THREADS_MAX = 64
# How long a thread waits for another job before it ends.
cdef int IDLE_SECONDS = 10

cdef pthread_mutex_t _lock          # guards all that follows
cdef pthread_cond_t _wanted         # there is a job
cdef Job *_first = NULL             # of the queue
cdef Job *_last = NULL
cdef unsigned _threads = 0          # that there are
cdef unsigned _idle = 0             # of these, how many wait for a job
cdef unsigned _queued = 0           # jobs in the queue


cdef void open_inbox(Inbox *inbox, int event_fd) noexcept nogil:
    """Make an inbox ready, empty."""
    pthread_mutex_init(&inbox.lock, NULL)
    inbox.first = inbox.last = NULL
    inbox.event_fd = event_fd


cdef Job *take_done(Inbox *inbox) noexcept nogil:
    """The job that came back first, with its result, or NULL if there is none."""
    cdef Job *job
    pthread_mutex_lock(&inbox.lock)
    job = inbox.first
    if job != NULL:
        inbox.first = job.next
        if inbox.first == NULL:
            inbox.last = NULL
    pthread_mutex_unlock(&inbox.lock)
    return job


cdef void give_back(Job *job) noexcept nogil:
    """A thread is done with the job: put it into its inbox."""
    cdef Inbox *inbox = job.inbox
    cdef uint64_t one = 1
    job.next = NULL
    pthread_mutex_lock(&inbox.lock)
    job.is_running = 0      # under this lock: `call_out` looks at it there
    if inbox.last == NULL:
        inbox.first = job
    else:
        inbox.last.next = job
    inbox.last = job
    # Written before the lock is let go, since whoever takes the job then may close the inbox.
    write(inbox.event_fd, &one, sizeof(one))
    pthread_mutex_unlock(&inbox.lock)


cdef void *run(void *argument) noexcept nogil:
    """What a thread of the pool runs."""
    global _first, _last, _threads, _idle, _queued
    cdef Job *job
    cdef bint is_late = False
    zc_name_thread()
    pthread_mutex_lock(&_lock)
    while True:
        while _first == NULL and not is_late:
            _idle += 1
            is_late = zc_wait_seconds(&_wanted, &_lock, IDLE_SECONDS) == ETIMEDOUT
            _idle -= 1
        if _first == NULL:
            break
        is_late = False
        job = _first
        _first = job.next
        if _first == NULL:
            _last = NULL
        _queued -= 1
        job.thread = pthread_self()
        job.is_running = 1
        pthread_mutex_unlock(&_lock)
        job.result = job.work(job)
        while job.result == -EINTR and not load_acquire(&job.is_ended):
            job.result = job.work(job)
        give_back(job)
        pthread_mutex_lock(&_lock)
    _threads -= 1
    pthread_mutex_unlock(&_lock)
    return NULL


cdef int start_job(Job *job) noexcept nogil:
    """Queue a job. Returns 0, or -errno if there is no thread and none can be started."""
    global _first, _last, _threads, _queued
    cdef pthread_t thread
    cdef int failed = 0
    job.next = NULL
    job.is_running = job.is_ended = 0
    pthread_mutex_lock(&_lock)
    if _queued >= _idle and _threads < THREADS_MAX:
        failed = start_thread(run, NULL, &thread)
        if failed == 0:
            pthread_detach(thread)
            _threads += 1
        elif _threads:
            failed = 0      # one of those that are there does it
    if failed == 0:
        if _last == NULL:
            _first = job
        else:
            _last.next = job
        _last = job
        _queued += 1
        pthread_cond_signal(&_wanted)
    pthread_mutex_unlock(&_lock)
    return failed


cdef bint withdraw_job(Job *job) noexcept nogil:
    """Take a job back out of the queue. False if a thread has taken it already."""
    global _first, _last, _queued
    cdef Job *one
    cdef Job *before = NULL
    pthread_mutex_lock(&_lock)
    one = _first
    while one != NULL and one != job:
        before = one
        one = one.next
    if one != NULL:
        if before == NULL:
            _first = one.next
        else:
            before.next = one.next
        if _last == one:
            _last = before
        _queued -= 1
    pthread_mutex_unlock(&_lock)
    return one != NULL


cdef void call_out(Job *job) noexcept nogil:
    """Call the thread of a job out of its call, if it is in one. To be done again until the job is
    in its inbox."""
    store_release(&job.is_ended, 1)
    pthread_mutex_lock(&job.inbox.lock)
    if job.is_running:
        pthread_kill(job.thread, call_out_signal())
    pthread_mutex_unlock(&job.inbox.lock)


cdef void forget_threads() noexcept nogil:
    """Begin anew, at first and in a forked child."""
    global _first, _last, _threads, _idle, _queued
    pthread_mutex_init(&_lock, NULL)
    pthread_cond_init(&_wanted, NULL)
    _first = _last = NULL
    _threads = _idle = _queued = 0


forget_threads()
pthread_atfork(NULL, NULL, forget_threads)
