# Threads of our own, in which no Python code runs, and their signals: pthreads(7).

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    ctypedef struct pthread_attr_t:
        pass
    ctypedef struct pthread_mutex_t:
        pass
    ctypedef struct pthread_cond_t:
        pass
    int pthread_create(pthread_t *thread, pthread_attr_t *attributes,
                       void *(*run)(void *) noexcept nogil, void *argument)
    int pthread_join(pthread_t thread, void **result)
    int pthread_detach(pthread_t thread)
    pthread_t pthread_self()
    int pthread_atfork(void (*before)(), void (*parent)(), void (*child)() noexcept nogil)
    int pthread_attr_init(pthread_attr_t *attributes)
    int pthread_attr_destroy(pthread_attr_t *attributes)
    int pthread_attr_setstacksize(pthread_attr_t *attributes, size_t size)
    int pthread_mutex_init(pthread_mutex_t *lock, void *attributes)
    int pthread_mutex_lock(pthread_mutex_t *lock)
    int pthread_mutex_unlock(pthread_mutex_t *lock)
    int pthread_mutex_destroy(pthread_mutex_t *lock)
    int pthread_cond_init(pthread_cond_t *condition, void *attributes)
    int pthread_cond_signal(pthread_cond_t *condition)

cdef extern from "<signal.h>" nogil:
    ctypedef struct sigset_t:
        pass
    int sigfillset(sigset_t *set)
    int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
    int pthread_kill(pthread_t thread, int number)
    enum:
        SIG_SETMASK
