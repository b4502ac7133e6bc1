from zcloop._native.loop.scheduler cimport Scheduler


cdef class ExecutorCall:
    cdef Scheduler loop
    cdef object source      # the executor's future
    cdef object future      # the loop's

    cdef int finish(self) except -1
