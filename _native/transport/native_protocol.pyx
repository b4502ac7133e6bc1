"""A protocol in native code: it may name a `Receiver`, which then gets the bytes in its place."""


cdef class NativeProtocol:
    pass
