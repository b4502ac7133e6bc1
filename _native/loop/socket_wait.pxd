from zcloop._native.channel.channel cimport Channel
from zcloop._native.operation.operation cimport Owner
from zcloop._native.operation.poll cimport Poll


cdef class SocketWait(Owner):
    cdef Channel channel
    cdef list waits             # the core's, of which this is number `index`
    cdef Py_ssize_t index
    cdef object socket          # kept open only by the program
    cdef int fd
    cdef Poll poll
    cdef readonly object future

    cdef bint is_closed_underneath(self) noexcept
    cdef int wake(self) except -1
    cdef int leave(self) except -1
    cdef int stop(self) except -1

cdef SocketWait make_socket_wait(
    Channel channel, list waits, object socket, int fd, bint to_write, object future)
