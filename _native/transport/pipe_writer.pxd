from zcloop._native.transport.pipe cimport Pipe


cdef class PipeWriter(Pipe):
    cdef unsigned ignored       # writes since it was closing

    cdef int reader_ended(self) except -1
