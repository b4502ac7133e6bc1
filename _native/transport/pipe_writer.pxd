from zcloop._native.transport.pipe cimport Pipe


cdef class PipeWriter(Pipe):
    cdef int reader_ended(self) except -1
