"""A thread without Python that makes one blocking call, and can be called out of it.

System V's queues and semaphores have no descriptor. Only a thread that sleeps in the call can wait
for them, so each call has a thread of its own. The thread writes an eventfd when the call has
returned.

A signal calls it out. A signal that comes before the thread is in the call is lost, so it is sent
again each millisecond until the thread has answered. It is the last real-time signal that has no
handler. Only these threads are sent it, and they block every other, so that the program's signals
come where they came before.

Rejected: pthread_cancel. After a signal the kernel's answer, a result or EINTR, says for certain
whether the call has done its work; after a cancellation nobody knows.
"""

from libc.errno cimport EINTR, EINVAL
from libc.stdint cimport uint64_t
from posix.unistd cimport read, write

from zcloop._native.kernel.atomics cimport load_acquire, store_release
from zcloop._native.kernel.poll cimport POLLIN, poll, pollfd
from zcloop._native.kernel.pthread cimport (
    SIG_SETMASK, pthread_attr_destroy, pthread_attr_init, pthread_attr_setstacksize,
    pthread_attr_t, pthread_create, pthread_join, pthread_kill, pthread_sigmask, sigset_t,
)

cdef extern from * nogil:
    """
    #include <signal.h>
    #include <sys/prctl.h>

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
    int zc_signal()
    void zc_block_all_but(int number, sigset_t *before)
    void zc_name_thread()

# Bytes: enough for a system call and for the frame of its signal, AVX-512 state included.
cdef size_t STACK_SIZE = 64 * 1024
# How long a thread has to answer the signal before it is sent again: see above.
cdef int ANSWER_MS = 1


cdef void *run(void *argument) noexcept nogil:
    """What the thread runs."""
    cdef Call *call = <Call *> argument
    cdef uint64_t one = 1
    zc_name_thread()
    call.result = -EINTR
    while call.result == -EINTR and not load_acquire(&call.is_ended):
        call.result = call.work(call.argument)
    write(call.event_fd, &one, sizeof(one))
    return NULL


cdef int call_out_signal() noexcept nogil:
    """The signal that calls a thread out, whose handler does nothing; 0 if none is free."""
    return zc_signal()


cdef int start_thread(Run run, void *argument, pthread_t *thread) noexcept nogil:
    """Start a thread that no signal disturbs but the one that calls out. It is to be joined or
    detached. Returns 0 or -errno."""
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
    """Make the call in a thread of its own. Returns 0 or -errno."""
    call.is_ended = 0
    call.signal = zc_signal()
    return -EINVAL if call.signal == 0 else start_thread(run, call, &call.thread)


cdef int finish_call(Call *call) noexcept nogil:
    """The result of a call that has returned."""
    cdef uint64_t count
    pthread_join(call.thread, NULL)
    read(call.event_fd, &count, sizeof(count))
    return call.result


cdef int end_call(Call *call) noexcept nogil:
    """Call the thread out. Returns the call's result, or -EINTR if it has done nothing."""
    cdef pollfd answer
    answer.fd = call.event_fd
    answer.events = POLLIN
    store_release(&call.is_ended, 1)
    while poll(&answer, 1, 0) <= 0:
        zc_signal()
        pthread_kill(call.thread, call.signal)
        poll(&answer, 1, ANSWER_MS)
    return finish_call(call)
