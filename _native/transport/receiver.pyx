"""Who takes the bytes of a stream natively: without a Python call, a context or a protocol."""


cdef class Receiver:
    cdef int receive(self, bytes data) except -1:
        """Take the next bytes of the stream, which are never empty. A derived class says how."""
        raise NotImplementedError
