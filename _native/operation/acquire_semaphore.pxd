from zcloop._native.operation.futex_wait cimport FutexWait


cdef class AcquireSemaphore(FutexWait):
    pass
