"""One coroutine's wait until a Python socket is ready: a one-shot poll that ends with the wait.

`future` gets None; whether the socket is ready, has failed or was closed meanwhile the next try
tells. Several may wait for one socket. While one waits, the poll keeps the file open, so the core
looks once a turn whether the program has closed the socket.
"""

from libc.stdint cimport uint32_t

from asyncio import exceptions

from zcloop._native.kernel.sockets cimport socket_fd
from zcloop._native.operation.operation cimport Operation
from zcloop._native.operation.poll cimport make_poll

cdef extern from "<poll.h>" nogil:
    enum:
        POLLIN
        POLLOUT
        POLLRDHUP "0x2000"

cdef object InvalidStateError = exceptions.InvalidStateError


cdef SocketWait make_socket_wait(
        Channel channel, list waits, object socket, int fd, bint to_write, object future):
    cdef SocketWait wait = SocketWait.__new__(SocketWait)
    wait.channel = channel
    wait.socket = socket
    wait.fd = fd
    wait.future = future
    wait.poll = make_poll(wait, fd, POLLOUT if to_write else POLLIN | POLLRDHUP)
    channel.submit(wait.poll)
    wait.index = len(waits)
    wait.waits = waits
    waits.append(wait)
    return wait


cdef class SocketWait(Owner):
    cdef bint is_closed_underneath(self) noexcept:
        return socket_fd(self.socket) != self.fd

    cdef int wake(self) except -1:
        self.stop()
        try:
            self.future.set_result(None)
        except InvalidStateError:
            pass        # cancelled, which is not asked first: it is rare
        return 0

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        self.poll = None
        operation.owner = None
        return self.wake()

    cdef int leave(self) except -1:
        """The last of the waits takes this one's place."""
        cdef SocketWait last
        cdef list waits
        waits, self.waits = self.waits, None
        if waits is not None:
            last = <SocketWait> waits.pop()
            if last is not self:
                last.index = self.index
                waits[self.index] = last
        return 0

    cdef int stop(self) except -1:
        cdef Poll poll
        self.leave()
        poll, self.poll = self.poll, None
        if poll is not None:
            poll.owner = None
            self.channel.cancel_now(poll)   # the fd may be closed next, and its port reused
        return 0

    def end(self):
        """Wait no more. Idempotent."""
        self.stop()
