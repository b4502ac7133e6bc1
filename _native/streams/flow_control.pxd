from zcloop._native.transport.native_protocol cimport NativeProtocol


cdef class FlowControl(NativeProtocol):
    cdef readonly object _loop
    cdef readonly bint _paused          # pause_writing() was called
    cdef readonly bint _connection_lost
    cdef object error                   # why the connection was lost; None: it was closed
    cdef list drain_waiters             # the futures of _drain_helper()
    cdef object closed                  # the future of wait_closed(), made when asked for
    cdef object __weakref__

    cdef int finish(self, object waiter) except -1
