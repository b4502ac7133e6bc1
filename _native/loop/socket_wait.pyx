"""One coroutine's wait until a Python socket is ready: a one-shot poll that ends with the wait.

`future` gets None in any case. Whether the socket is ready, has failed or was closed meanwhile, the
caller finds out by its next try. Several coroutines may wait for one socket.
"""

from libc.stdint cimport uint32_t

from asyncio import exceptions

from zcloop._native.kernel.poll cimport POLLIN, POLLOUT, POLLRDHUP
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.operation.operation cimport Operation
from zcloop._native.operation.poll cimport make_poll

cdef object InvalidStateError = exceptions.InvalidStateError


cdef SocketWait make_socket_wait(
        LoopChannel channel, list holders, object socket, int fd, bint to_write, object future,
        SocketWait before):
    """A wait that has begun. If `before` has ended in vain, its poll is used again, since it knows
    that the readiness of then did not help."""
    cdef SocketWait wait = SocketWait.__new__(SocketWait)
    wait.channel = channel
    wait.socket = socket
    wait.fd = fd
    wait.future = future
    if before is not None and before.spent is not None and before.spent.fd == fd:
        wait.poll, before.spent = before.spent, None
        wait.poll.owner = wait
        wait.poll.in_vain()
    else:
        wait.poll = make_poll(wait, fd, POLLOUT if to_write else POLLIN | POLLRDHUP)
    channel.submit(wait.poll)
    wait.join(holders)
    return wait


cdef class SocketWait(SocketHolder):
    cdef int closed_underneath(self) except -1:
        return self.wake()

    cdef int wake(self) except -1:
        self.stop()
        try:
            self.future.set_result(None)
        except InvalidStateError:
            pass        # it was cancelled, which is too rare to be asked for first
        return 0

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        self.spent, self.poll = self.poll, None
        operation.owner = None
        return self.wake()

    cdef int stop(self) except -1:
        cdef Poll poll
        self.leave()
        poll, self.poll = self.poll, None
        if poll is not None:
            poll.owner = None
            # At once, since the fd may be closed next, and its port reused.
            self.channel.cancel_now(poll)
        return 0

    def end(self):
        """Wait no more; `future` stays as it is. Idempotent. Not thread-safe."""
        self.stop()


seal(SocketWait)
