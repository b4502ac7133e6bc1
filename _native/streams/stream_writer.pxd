from zcloop._native.transport.stream cimport Stream
from zcloop._native.streams.stream_input cimport StreamInput


cdef class StreamWriter:
    # asyncio.StreamWriter's own names.
    cdef readonly object _transport
    cdef readonly object _protocol
    cdef readonly object _reader
    cdef readonly object _loop
    cdef Stream stream                  # the native half of `_transport`; None: it has none
    cdef StreamInput input              # `_reader` if it is native; else None
    cdef object stream_write            # the stream's write(), by which a patched one is noticed
    cdef bint is_direct                 # transport, protocol and reader are all native
    cdef dict __dict__
    cdef object __weakref__

    cdef int set_transport(self, object transport) except -1
