from zcloop._native.transport.stream cimport Stream
from zcloop._native.streams.stream_input cimport StreamInput


cdef class StreamWriter:
    # asyncio.StreamWriter's own names.
    cdef readonly object _transport
    cdef readonly object _protocol
    cdef readonly object _reader
    cdef readonly object _loop
    # The same, where they are native; else None.
    cdef Stream stream
    cdef StreamInput input
    cdef object stream_write            # its write, unless a program puts another in its place
    cdef bint is_direct                 # all of them are
    cdef dict __dict__
    cdef object __weakref__

    cdef int set_transport(self, object transport) except -1
