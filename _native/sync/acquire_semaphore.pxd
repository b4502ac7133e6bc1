from zcloop._native.sync.futex_wait cimport FutexWait


cdef class AcquireSemaphore(FutexWait):
    pass
