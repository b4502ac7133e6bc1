from zcloop._native.streams.flow_control cimport FlowControl

cdef class StreamReaderProtocol(FlowControl):
    cdef readonly object _stream_reader     # until the connection is lost
    cdef readonly object _client_connected_cb
    cdef readonly object _transport
    cdef readonly object _task          # of the callback; nobody else has to keep it alive
    cdef readonly bint _over_ssl
