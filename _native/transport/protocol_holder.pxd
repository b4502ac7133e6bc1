from zcloop._native.transport.descriptor cimport Descriptor


cdef class ProtocolHolder(Descriptor):
    cdef readonly object face           # the asyncio transport that the protocol knows
    cdef readonly object protocol
    cdef object context                 # the protocol is called in it

    cdef object protocol_call(self, object name, object argument)
    cdef object protocol_call_two(self, object name, object one, object two)
    cdef bint call_or_report(self, object name, object argument, str message) except -1
    cdef object report(self, str message, object error)
    cdef int log(self, str message) except -1
    cdef int log_expected(self, str message, object error) except -1
