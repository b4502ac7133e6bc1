from zcloop._native.transport.stream_input cimport StreamInput


cdef class StreamReader(StreamInput):
    pass
