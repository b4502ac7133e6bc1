"""A protocol in native code: what a stream delivers to it costs no Python call and no context."""


cdef class Receiver:
    cdef int receive(self, bytes data) except -1:
        """As data_received(data), for the next bytes of the stream; never empty."""
        raise NotImplementedError
