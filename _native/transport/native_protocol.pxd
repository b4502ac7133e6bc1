from zcloop._native.transport.receiver cimport Receiver


cdef class NativeProtocol:
    cdef Receiver receiver      # gets what data_received would; None: data_received is called
