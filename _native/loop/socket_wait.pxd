from zcloop._native.channel.channel cimport Channel
from zcloop._native.loop.socket_holder cimport SocketHolder
from zcloop._native.operation.poll cimport Poll


cdef class SocketWait(SocketHolder):
    cdef Channel channel
    cdef Poll poll
    cdef Poll spent             # the poll that has ended, to be used again by the next wait
    cdef readonly object future

    cdef int wake(self) except -1
    cdef int stop(self) except -1

cdef SocketWait make_socket_wait(
    Channel channel, list holders, object socket, int fd, bint to_write, object future,
    SocketWait before)
