from zcloop._native.transport.receiver cimport Receiver


cdef class NativeProtocol:
    # Gets the bytes in place of data_received(), if it is set when the transport gets the protocol.
    # None once the connection is lost.
    cdef Receiver receiver
