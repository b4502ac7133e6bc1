"""The part of a loop that watches descriptors: readers and writers, and coroutines that wait.

A watch is armed at the end of a turn, as `loop/watch.pyx` says. A request in flight keeps its file
open, and with it the connection or the port. So once a turn `check_sockets` looks whether the
program has closed a Python socket that something waits for, and lets go of it.

It is a base class of Core, and no object of it: its methods are the loop's own, as asyncio names
them, and each turn reads three of its lists.
"""

import _socket

from zcloop._native.kernel.collector cimport hold_collector, let_collector_go
from zcloop._native.kernel.epoll cimport zc_pollable
from zcloop._native.kernel.errors cimport raise_os_error
from zcloop._native.kernel.sockets cimport socket_fd
from zcloop._native.loop.handle cimport make_handle
from zcloop._native.loop.socket_holder cimport SocketHolder
from zcloop._native.loop.socket_wait cimport make_socket_wait
from zcloop._native.loop.transport_table cimport free_table, has_transport

_Socket = _socket.socket


cdef int to_fd(object fileobj) except -1:
    """The number behind an fd or an object with fileno(). ValueError, as selectors raises it."""
    if isinstance(fileobj, int):
        fd = fileobj
    else:
        try:
            fd = int(fileobj.fileno())
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"Invalid file object: {fileobj!r}") from None
    if fd < 0:
        raise ValueError(f"Invalid file descriptor: {fd}")
    return fd


cdef class Watching(Scheduler):
    def __cinit__(self, *args, backend=None, **kwargs):
        self.watches = {}
        self.socket_watches = []
        self.socket_holders = []
        self.unarmed = []
        self.channel = LoopChannel(backend=backend)

    def __dealloc__(self):
        free_table(&self.transports)

    cdef int check_no_transport(self, object fd) except -1:
        if not isinstance(fd, int) or has_transport(&self.transports, fd):
            self._ensure_fd_no_transport(fd)
        return 0

    # ---- readers and writers -----------------------------------------------------------------

    def add_reader(self, fd, callback, *args):
        """Call `callback(*args)` whenever `fd` (a number, or what has a fileno()) is readable.

        It replaces an earlier reader of `fd`. Not thread-safe. RuntimeError for a transport's fd or
        a closed loop, PermissionError for a file that is always ready, ValueError for what is no
        descriptor.
        """
        self.check_no_transport(fd)
        self.watch(fd, True, callback, args, None)

    def remove_reader(self, fd):
        """End what add_reader began; returns whether there was a reader.

        To be called before `fd` is closed. Not thread-safe. RuntimeError for a transport's fd,
        ValueError for what is no descriptor.
        """
        self.check_no_transport(fd)
        return self.unwatch(fd, True)

    def add_writer(self, fd, callback, *args):
        """Call `callback(*args)` whenever `fd` is writable; the rest is as of add_reader."""
        self.check_no_transport(fd)
        self.watch(fd, False, callback, args, None)

    def remove_writer(self, fd):
        """End what add_writer began; the rest is as of remove_reader."""
        self.check_no_transport(fd)
        return self.unwatch(fd, False)

    # BaseEventLoop and asyncio's signal handling ask by these names, of any fd.

    def _add_reader(self, fd, callback, *args, context=None):
        return self.watch(fd, True, callback, args, context)

    def _remove_reader(self, fd):
        return self.unwatch(fd, True)

    def _add_writer(self, fd, callback, *args, context=None):
        return self.watch(fd, False, callback, args, context)

    def _remove_writer(self, fd):
        return self.unwatch(fd, False)

    cdef Handle watch(self, object fileobj, bint is_reader, object callback, tuple args,
                      object context):
        cdef Handle handle
        cdef int fd
        cdef bint is_held
        self.check_open()
        handle = make_handle(callback, args, self, context, self.contexts)
        fd = to_fd(fileobj)
        is_held = hold_collector()
        try:
            self.set_watch(fd, fileobj, is_reader, handle)
        finally:
            let_collector_go(is_held)
        return handle

    cdef int set_watch(self, int fd, object fileobj, bint is_reader, Handle handle) except -1:
        cdef Watch watch = self.watches.get(fd)
        if watch is not None and watch.socket is not None and socket_fd(watch.socket) != fd:
            self.forget_watch(watch)    # that socket is closed: another file has the number now
            watch = self.watches.get(fd)
        if watch is None:
            watch = self.make_watch(fd, fileobj)
        return watch.set_handle(is_reader, handle)

    cdef Watch make_watch(self, int fd, object fileobj):
        cdef int refused = zc_pollable(fd)
        cdef Watch watch
        if refused:
            raise_os_error(refused, f"watching fd {fd}")
        watch = Watch.__new__(Watch)
        watch.channel = self.channel
        watch.ready = self.ready
        watch.unarmed = self.unarmed
        watch.fd = fd
        if isinstance(fileobj, _Socket):
            watch.socket = fileobj
            self.socket_watches.append(watch)
        self.watches[fd] = watch
        return watch

    cdef bint unwatch(self, object fileobj, bint is_reader) except -1:
        """Whether there was a reader, or a writer."""
        cdef Watch watch
        cdef bint had
        if self._closed:
            return False
        found = self.watch_of(fileobj)
        if found is None:
            return False
        watch = <Watch> found
        had = watch.drop_handle(is_reader)
        if watch.reader is None and watch.writer is None:
            self.forget_watch(watch)
        return had

    cdef object watch_of(self, object fileobj):
        """The watch of an fd or file object, a socket that was closed meanwhile included."""
        try:
            return self.watches.get(to_fd(fileobj))
        except ValueError:
            for item in self.socket_watches:
                if (<Watch> item).socket is fileobj:
                    return item
            raise

    cdef int forget_watch(self, Watch watch) except -1:
        if watch.socket is not None and watch in self.socket_watches:
            self.socket_watches.remove(watch)
        if self.watches.get(watch.fd) is watch:
            del self.watches[watch.fd]
        watch.drop_handle(True)     # last: the end of a callback may watch the same fd
        watch.drop_handle(False)
        return 0

    cdef int drop_watches(self) except -1:
        """At the loop's end, once the channel is closed: forget what is watched."""
        self.unarmed.clear()
        for watch in self.watches.values():
            for handle in ((<Watch> watch).reader, (<Watch> watch).writer):
                if handle is not None:
                    (<Handle> handle).clear()
        self.watches = {}
        self.socket_watches.clear()
        while self.socket_holders:
            (<SocketHolder> self.socket_holders[0]).leave()
        return 0

    cdef int arm_watches(self) except -1:
        watches = self.unarmed[:]
        self.unarmed.clear()
        while watches:
            try:
                (<Watch> watches.pop(0)).arm()
            except BaseException:
                self.unarmed[:0] = watches      # out of memory: the others are armed next time
                raise
        return 0

    # ---- coroutines that wait for a socket ---------------------------------------------------

    cdef SocketWait wait_for_socket(self, object socket, bint to_write, SocketWait before):
        """A wait whose `future` gets None when the socket is ready, has failed, or was closed.

        `before` is the same caller's last wait for the same, or None.
        """
        cdef int fd = to_fd(socket)
        cdef bint is_held
        self.check_open()
        if has_transport(&self.transports, fd):
            self._ensure_fd_no_transport(fd)
        is_held = hold_collector()
        try:
            return make_socket_wait(
                self.channel, self.socket_holders, socket, fd, to_write, self.new_future(), before)
        finally:
            let_collector_go(is_held)

    def _wait_for_socket(self, socket, to_write, before=None):
        return self.wait_for_socket(socket, to_write, before)

    # ---- closed underneath -------------------------------------------------------------------

    cdef int check_sockets(self) except -1:
        """Let the kernel let go of sockets that the program closed while they were waited for."""
        cdef Watch watch
        cdef SocketHolder holder
        cdef Py_ssize_t index = len(self.socket_watches)
        while index:
            index -= 1
            watch = <Watch> self.socket_watches[index]
            if socket_fd(watch.socket) != watch.fd and (
                    watch.read_poll is not None or watch.write_poll is not None):
                watch.closed_underneath()
                index = min(index, len(self.socket_watches))
        index = len(self.socket_holders)
        while index:
            index -= 1
            holder = <SocketHolder> self.socket_holders[index]
            if holder.is_closed_underneath():
                # The last holder takes the place of this one, and was looked at already. More of
                # them may end with it: what this wakes, or the collector, runs in the middle.
                holder.closed_underneath()
                index = min(index, len(self.socket_holders))
        return 0
