from zcloop._native.channel.loop_channel cimport LoopChannel
from zcloop._native.loop.socket_holder cimport SocketHolder
from zcloop._native.operation.poll cimport Poll


cdef class SocketWait(SocketHolder):
    cdef LoopChannel channel
    cdef Poll poll              # in flight, or None
    cdef Poll spent             # the poll that has ended; the next wait may use it again
    cdef readonly object future         # gets None when the wait is over

    cdef int wake(self) except -1
    cdef int stop(self) except -1

cdef SocketWait make_socket_wait(
    LoopChannel channel, list holders, object socket, int fd, bint to_write, object future,
    SocketWait before)
