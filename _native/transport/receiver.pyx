"""What a stream delivers to natively: no call of Python's, no context, no protocol in between."""


cdef class Receiver:
    cdef int receive(self, bytes data) except -1:
        """The next bytes of the stream; never empty. Whoever derives from this takes them."""
        raise NotImplementedError
