from zcloop._native.streams.stream_input cimport StreamInput


cdef class StreamReader(StreamInput):
    pass
