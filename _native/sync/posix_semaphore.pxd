from zcloop._native.sync.semaphore_words cimport SemaphoreWords


cdef class PosixSemaphore(SemaphoreWords):
    cdef bint is_opened     # by sem_open, to be closed
