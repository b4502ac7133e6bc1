"""A protocol in native code, which may say to whom its transport had better deliver."""


cdef class NativeProtocol:
    pass
