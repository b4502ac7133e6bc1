"""One fd that the program watches by add_reader or add_writer.

asyncio promises level triggering. So a one-shot poll is armed at the end of a turn, after the
callbacks of that turn have run: it fires again at once while there is something left. Arming is
batched with everything else that the turn submits, so add_reader and remove_reader make no system
call to arm, and a reader that is added and removed within one turn is never armed.

A request in flight keeps the file open; remove_reader cancels it. Where the fd was given as a
Python socket, the loop looks once a turn whether it was closed without that. A plain number must be
removed before it is closed.
"""

cimport cython
from libc.stdint cimport uint32_t

from zcloop._native.kernel.poll cimport POLLIN, POLLOUT, POLLRDHUP
from zcloop._native.kernel.sealed cimport seal
from zcloop._native.operation.operation cimport Operation
from zcloop._native.operation.poll cimport Poll, make_poll


# The collector must not clear it: __dealloc__ needs the handles, to empty them.
@cython.no_gc_clear
cdef class Watch(Owner):
    def __dealloc__(self):
        if self.reader is not None:
            self.reader.clear()
        if self.writer is not None:
            self.writer.clear()

    cdef int want_arm(self) except -1:
        if not self.is_listed:
            self.is_listed = True
            self.unarmed.append(self)
        return 0

    cdef int set_handle(self, bint is_reader, Handle handle) except -1:
        cdef Handle before = self.reader if is_reader else self.writer
        handle.is_repeated = True
        if is_reader:
            self.reader = handle
        else:
            self.writer = handle
        self.want_arm()
        if before is not None:
            before.cancel()     # last, since the end of its callback may remove the new one
        return 0

    cdef bint drop_handle(self, bint is_reader) except -1:
        """End the reader or writer; returns whether there was one."""
        cdef Handle handle = self.reader if is_reader else self.writer
        cdef Poll poll = self.read_poll if is_reader else self.write_poll
        if is_reader:
            self.reader = None
            self.read_poll = None
        else:
            self.writer = None
            self.write_poll = None
        if poll is not None:
            poll.owner = None
            # At once, since the fd may be closed next, and its port reused.
            self.channel.cancel_now(poll)
        if handle is None:
            return False
        handle.cancel()
        return True

    cdef int arm(self) except -1:
        self.is_listed = False
        # A callback that has not run yet, since the loop was stopped, has not read what there is.
        if ((self.reader is not None and self.reader.is_queued)
                or (self.writer is not None and self.writer.is_queued)):
            return self.want_arm()
        self.arm_reader()
        return self.arm_writer()

    # An allocation may run a finalizer, which may remove, add or arm. So the two methods look again
    # after each. A poll that `drop_handle` finds before it is in flight is forgotten there, and
    # cancelled here.

    cdef int arm_reader(self) except -1:
        cdef Poll poll
        if self.reader is None or self.read_poll is not None:
            return 0
        poll = make_poll(self, self.fd, POLLIN | POLLRDHUP)
        if self.reader is None or self.read_poll is not None:
            return 0
        self.read_poll = poll
        self.channel.submit(poll)
        if self.read_poll is not poll:
            self.channel.cancel_now(poll)
        return 0

    cdef int arm_writer(self) except -1:
        cdef Poll poll
        if self.writer is None or self.write_poll is not None:
            return 0
        poll = make_poll(self, self.fd, POLLOUT)
        if self.writer is None or self.write_poll is not None:
            return 0
        self.write_poll = poll
        self.channel.submit(poll)
        if self.write_poll is not poll:
            self.channel.cancel_now(poll)
        return 0

    cdef int closed_underneath(self) except -1:
        """The program closed the socket: let go of its file, so that the peer sees the close.

        The callbacks are not called any more, as epoll would not."""
        cdef Poll poll
        for poll in (self.read_poll, self.write_poll):
            if poll is not None:
                poll.owner = None
                self.channel.cancel(poll)
        self.read_poll = self.write_poll = None
        return 0

    cdef int completed(self, Operation operation, int result, uint32_t flags) except -1:
        cdef Handle handle
        if operation is self.read_poll:
            handle = self.reader
            self.read_poll = None
        elif operation is self.write_poll:
            handle = self.writer
            self.write_poll = None
        else:
            return 0
        operation.owner = None
        # A negative result is of an fd that was closed without remove_reader. It is not watched any
        # more, as by epoll.
        if result >= 0 and handle is not None:
            handle.is_queued = True
            self.ready.push(handle)
            return self.want_arm()
        return 0


seal(Watch)
