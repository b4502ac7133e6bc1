from zcloop._native.loop.core cimport Core


cdef class SocketCore(Core):
    pass
