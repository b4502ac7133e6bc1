from libc.stdint cimport uint64_t

from zcloop._native.channel.channel cimport Channel
from zcloop._native.loop.core cimport Core
from zcloop._native.loop.socket_holder cimport SocketHolder
from zcloop._native.operation.accept cimport Accept


cdef class Listener(SocketHolder):
    cdef Core core
    cdef Channel channel
    cdef object context             # of who began to serve
    cdef Accept accept
    cdef object accepted            # called with each new stream
    cdef object failed              # called with each errno that ended the accepting
    cdef uint64_t file              # what `fd` was of when it was given
    cdef readonly bint is_listening

    cdef int announce(self, int fd) except -1
    cdef int accept_again(self) except -1
    cdef int fail(self, int errno_) except -1
