from libc.stdint cimport uint64_t

from zcloop._native.channel.loop_channel cimport LoopChannel
from zcloop._native.loop.core cimport Core
from zcloop._native.loop.socket_holder cimport SocketHolder
from zcloop._native.operation.poll cimport Poll


cdef class Listener(SocketHolder):
    cdef Core core
    cdef LoopChannel channel
    cdef object context             # in which the listener was made
    cdef Poll turn                  # wakes one of the processes that wait, by turns
    cdef Poll watch                 # wakes all of them, for the one whose turn it is may not act
    cdef object look_timer          # between a wake-up of `watch` and the look that it asks for
    cdef object accepted            # called with each new stream
    cdef object failed              # called with each errno that ended the accepting
    cdef uint64_t file              # identifies the file that `fd` was of when it was given
    cdef readonly bint is_listening

    cdef bint accept_one(self) except -1
    cdef int hand_over(self, object accepted, int fd) except -1
    cdef int refused(self, int errno_) except -1
    cdef int look_after(self, double seconds) except -1
    cdef int arm(self, Poll poll) except -1
    cdef int disarm(self) except -1
    cdef int fail(self, int errno_) except -1
