from zcloop._native.channel.loop_channel cimport LoopChannel
from zcloop._native.loop.socket_holder cimport SocketHolder
from zcloop._native.operation.poll cimport Poll


cdef class SocketWait(SocketHolder):
    cdef LoopChannel channel
    cdef Poll poll
    cdef Poll spent             # the poll that has ended, to be used again by the next wait
    cdef readonly object future

    cdef int wake(self) except -1
    cdef int stop(self) except -1

cdef SocketWait make_socket_wait(
    LoopChannel channel, list holders, object socket, int fd, bint to_write, object future,
    SocketWait before)
