from zcloop._native.channel.channel cimport Channel
from zcloop._native.operation.accept cimport Accept
from zcloop._native.operation.operation cimport Owner


cdef class Listener(Owner):
    cdef Channel channel
    cdef Accept accept
    cdef object accepted            # called with each new fd
    cdef object failed              # called with each errno that ended the accepting
    cdef readonly int fd
    cdef readonly bint is_listening
