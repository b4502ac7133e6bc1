# Named semaphores of POSIX: sem_overview(7).

cdef extern from "<semaphore.h>" nogil:
    ctypedef struct sem_t:
        pass
    sem_t *SEM_FAILED
    sem_t *sem_open(const char *name, int flags, unsigned mode, unsigned value)
    int sem_close(sem_t *semaphore)
    int sem_unlink(const char *name)

cdef extern from * nogil:
    """
    #include <semaphore.h>
    #include <stdint.h>
    /* Whether the C library keeps a semaphore as `sync.posix_semaphore` expects: one 64-bit word,
       with the value in its low half and the number of waiters in its high half. */
    static int zc_semaphore_is_known(void)
    {
        union { sem_t semaphore; uint64_t data; } one;
        int value = 0, known;
        if (sizeof(one) < sizeof(uint64_t) || sem_init(&one.semaphore, 1, 5) < 0)
            return 0;
        known = __atomic_load_n(&one.data, __ATOMIC_SEQ_CST) == 5;
        __atomic_fetch_add(&one.data, (uint64_t)1 << 32, __ATOMIC_SEQ_CST);
        known = known && sem_trywait(&one.semaphore) == 0 && sem_post(&one.semaphore) == 0
            && sem_trywait(&one.semaphore) == 0
            && sem_getvalue(&one.semaphore, &value) == 0 && value == 4
            && __atomic_load_n(&one.data, __ATOMIC_SEQ_CST) == ((uint64_t)1 << 32 | 4);
        sem_destroy(&one.semaphore);
        return known;
    }
    """
    bint semaphore_is_known "zc_semaphore_is_known"()
