"""A thread with no Python in it that makes one blocking call, and can be called out of it.

System V's queues and semaphores have no descriptor: nothing can wait for them but a thread that
sleeps in the call, one thread a call. It writes an eventfd when the call has returned.

It is called out by a signal: the kernel's answer, a result or EINTR, then says for certain whether
the call has done its work; pthread_cancel would not. A signal that comes before the thread is in
the call is lost, so it is sent again each millisecond until the thread has answered. The signal is
the last real-time one that has no handler; it is directed to these threads only, which block every
other, so the program's signals come where they came before.
"""

from libc.errno cimport EINTR, EINVAL
from libc.stdint cimport uint64_t
from posix.unistd cimport read, write

from zcloop._native.kernel.poll cimport POLLIN, poll, pollfd
from zcloop._native.kernel.pthread cimport (
    pthread_attr_destroy, pthread_attr_init, pthread_attr_setstacksize, pthread_attr_t,
    pthread_create, pthread_join,
)

cdef extern from * nogil:
    """
    #include <signal.h>
    #include <sys/prctl.h>
    #define zc_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define zc_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

    static void zc_called_out(int number) { }

    static int zc_is_unhandled(int number)
    {
        struct sigaction now;
        return sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO)
               && (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN);
    }

    static void zc_handle(int number)
    {
        struct sigaction ours = {.sa_handler = zc_called_out};
        sigfillset(&ours.sa_mask);
        sigaction(number, &ours, NULL);
    }

    /* The signal that calls out, with a handler that does nothing; 0: all of them are taken. */
    static int zc_signal(void)
    {
        static int chosen;
        int number;
        if (chosen) {
            if (zc_is_unhandled(chosen))    /* the program has reset it: it would kill us now */
                zc_handle(chosen);
            return chosen;
        }
        for (number = SIGRTMAX; number >= SIGRTMIN; number--)
            if (zc_is_unhandled(number)) {
                zc_handle(number);
                return chosen = number;
            }
        return 0;
    }

    static void zc_block_all_but(int number, sigset_t *before)
    {
        sigset_t blocked;
        sigfillset(&blocked);
        if (number)
            sigdelset(&blocked, number);
        pthread_sigmask(SIG_SETMASK, &blocked, before);
    }

    static void zc_name_thread(void) { prctl(PR_SET_NAME, "zcloop wait"); }
    """
    ctypedef struct sigset_t:
        pass
    int zc_signal()
    void zc_block_all_but(int number, sigset_t *before)
    int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
    int pthread_kill(pthread_t thread, int number)
    enum:
        SIG_SETMASK
    void zc_name_thread()
    unsigned zc_load_acquire(unsigned *address)
    void zc_store_release(unsigned *address, unsigned value)

# Enough for a system call and its signal's frame, AVX-512 state included.
cdef size_t STACK_SIZE = 65536
cdef int ANSWER_MS = 1


cdef void *run(void *argument) noexcept nogil:
    """The thread."""
    cdef Call *call = <Call *> argument
    cdef uint64_t one = 1
    zc_name_thread()
    call.result = -EINTR
    while call.result == -EINTR and not zc_load_acquire(&call.is_ended):
        call.result = call.work(call.argument)
    write(call.event_fd, &one, sizeof(one))
    return NULL


cdef int call_out_signal() noexcept nogil:
    return zc_signal()


cdef int start_thread(Run run, void *argument, pthread_t *thread) noexcept nogil:
    cdef pthread_attr_t attributes
    cdef sigset_t before
    cdef int failed
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, STACK_SIZE)
    zc_block_all_but(zc_signal(), &before)      # inherited by the thread
    failed = pthread_create(thread, &attributes, run, argument)
    if failed == EINVAL:        # libraries with much thread-local storage need a larger stack
        failed = pthread_create(thread, NULL, run, argument)
    pthread_sigmask(SIG_SETMASK, &before, NULL)
    pthread_attr_destroy(&attributes)
    return -failed


cdef int start_call(Call *call) noexcept:
    call.is_ended = 0
    call.signal = zc_signal()
    return -EINVAL if call.signal == 0 else start_thread(run, call, &call.thread)


cdef int finish_call(Call *call) noexcept nogil:
    cdef uint64_t count
    pthread_join(call.thread, NULL)
    read(call.event_fd, &count, sizeof(count))
    return call.result


cdef int end_call(Call *call) noexcept nogil:
    cdef pollfd answer
    answer.fd = call.event_fd
    answer.events = POLLIN
    zc_store_release(&call.is_ended, 1)
    while poll(&answer, 1, 0) <= 0:
        zc_signal()
        pthread_kill(call.thread, call.signal)
        poll(&answer, 1, ANSWER_MS)
    return finish_call(call)
