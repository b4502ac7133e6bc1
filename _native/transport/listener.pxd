from libc.stdint cimport uint64_t

from zcloop._native.channel.loop_channel cimport LoopChannel
from zcloop._native.loop.core cimport Core
from zcloop._native.loop.socket_holder cimport SocketHolder
from zcloop._native.operation.poll cimport Poll


cdef class Listener(SocketHolder):
    cdef Core core
    cdef LoopChannel channel
    cdef object context             # of who began to serve
    cdef Poll turn                  # of the processes that wait, it wakes the next one
    cdef Poll watch                 # wakes all of them: somebody may sleep through his turn
    cdef object look_timer          # after the watch: whether anybody has been left waiting
    cdef object accepted            # called with each new stream
    cdef object failed              # called with each errno that ended the accepting
    cdef uint64_t file              # what `fd` was of when it was given
    cdef readonly bint is_listening

    cdef bint accept_one(self) except -1
    cdef int announce(self, object accepted, int fd) except -1
    cdef int refused(self, int errno_) except -1
    cdef int look_after(self, double seconds) except -1
    cdef int arm(self, Poll poll) except -1
    cdef int disarm(self) except -1
    cdef int fail(self, int errno_) except -1
