"""One pollable fd through which a program waits for network, disk and all else, with or without
asyncio.

The methods that make requests are written out, each with the arguments of its function in
zcloop.requests, which a test compares. Rejected: to generate them. Editors and type checkers would
show neither arguments nor docstrings.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from zcloop import requests
from zcloop._closed_on_exit import ClosedOnExit
from zcloop._native.events.event import Event
from zcloop._native.events.event_queue import EventQueue
from zcloop._native.operation.operation import Operation
from zcloop.requests import AT_FDCWD, Descriptor, EventRequest, Path

if TYPE_CHECKING:
    from typing_extensions import Buffer


class EventChannel(EventQueue, ClosedOnExit):
    """A bounded queue of events with an fd (ec_create); each is the end of a request, or posted.

    Every request is with the kernel when its method returns, costs one system call, and ends with
    exactly one Event, which carries `data`. The docstring of a method says, after the colon, what
    the event's `result` is. Failures are events too: `event.check()` raises them. A method raises
    only for what can never be a request: TypeError for what is no buffer or has no descriptor,
    BufferError for a buffer that cannot be filled, ValueError and OverflowError for numbers out of
    range, OSError when the kernel takes no more requests. Then nothing was submitted.

    Buffers are not copied. They stay exported until the event has been taken, and may be written to
    until then. `flags` are the system call's; new descriptors are close-on-exec. Memory of a Region
    is a registered buffer (AIO_DMA_BUF) for read() and write(), of sockets too. For recv(), send()
    and the like it is as any other memory: the kernel has no such receive, and its zero-copy send
    has two completions, not one.

    The channel holds `entries` events, 1 to 32768. What completes beyond that waits in the kernel,
    and an event of type "overflow" says how many did (`result`), before the last `entries` of them.
    With overflow="drop" they are dropped instead, and the event says exactly how many;
    `take_dropped()` gives their requests.

    One thread is the owner, at first the one that made the channel. Other threads may call only
    `post`, `fileno` and `take_over`, and get a RuntimeError otherwise. After `close` everything
    raises ValueError; in a forked child, RuntimeError.
    """

    def __repr__(self) -> str:
        if self.is_closed:
            return f"<{type(self).__name__} closed>"
        return f"<{type(self).__name__} of {self.entries} entries, {self.inflight} in flight>"

    def __del__(self) -> None:
        if self.is_closed:
            return
        try:
            if not self.is_forked:
                warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
        finally:  # the program may have made warnings errors
            self.end()

    def events(self) -> Iterator[Event]:
        """Take the events that are there, one after another, until there is none. Never waits."""
        while (event := self.next_event()) is not None:
            yield event

    # ---- sockets -------------------------------------------------------------------------------

    def recv(
        self, sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None
    ) -> EventRequest:
        """Receive into a writable buffer (aio_recv): how many bytes, 0 at the end of the stream.

        Details of this and the other requests: see zcloop.requests."""
        return self.ask(requests.recv(sock, buffer, flags, data=data))

    def recvfrom(
        self, sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None
    ) -> EventRequest:
        """Receive a datagram into a writable buffer (aio_recvfrom): (count, address)."""
        return self.ask(requests.recvfrom(sock, buffer, flags, data=data))

    def recvmsg(
        self,
        sock: Descriptor,
        buffers: Iterable[Buffer],
        ancillary_size: int = 0,
        flags: int = 0,
        *,
        data: Any = None,
    ) -> EventRequest:
        """Receive into several buffers (aio_recvmsg): (count, ancillary data, flags, address), as
        of socket.recvmsg_into."""
        return self.ask(requests.recvmsg(sock, buffers, ancillary_size, flags, data=data))

    def send(
        self, sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None
    ) -> EventRequest:
        """Send a buffer (aio_send): how many bytes were sent."""
        return self.ask(requests.send(sock, buffer, flags, data=data))

    def sendto(
        self, sock: Descriptor, buffer: Buffer, address: Any, flags: int = 0, *, data: Any = None
    ) -> EventRequest:
        """Send a datagram to a numeric address (aio_sendto): how many bytes were sent. ValueError
        for a host name."""
        return self.ask(requests.sendto(sock, buffer, address, flags, data=data))

    def sendmsg(
        self,
        sock: Descriptor,
        buffers: Iterable[Buffer],
        ancillary: Iterable[tuple[int, int, Buffer]] = (),
        flags: int = 0,
        address: Any = None,
        *,
        data: Any = None,
    ) -> EventRequest:
        """Send several buffers, with ancillary data as of socket.sendmsg (aio_sendmsg): how many
        bytes were sent."""
        return self.ask(requests.sendmsg(sock, buffers, ancillary, flags, address, data=data))

    def accept(self, sock: Descriptor, flags: int = 0, *, data: Any = None) -> EventRequest:
        """Accept a connection: its fd, which `socket.socket(fileno=event.result)` owns."""
        return self.ask(requests.accept(sock, flags, data=data))

    def connect(self, sock: Descriptor, address: Any, *, data: Any = None) -> EventRequest:
        """Connect to a numeric address: 0 when connected."""
        return self.ask(requests.connect(sock, address, data=data))

    # ---- files ---------------------------------------------------------------------------------

    def read(
        self,
        file: Descriptor,
        buffer: Buffer,
        offset: int = -1,
        flags: int = 0,
        *,
        priority: int = 0,
        data: Any = None,
    ) -> EventRequest:
        """Read into a writable buffer (aio_read): how many bytes, 0 at the end of the file.

        It reads at `offset`; -1 is the file's own position. `flags` are preadv2's; `priority` is as
        for ioprio_set (aio_reqprio)."""
        return self.ask(
            requests.read(file, buffer, offset, flags, priority=priority, data=data),
        )

    def write(
        self,
        file: Descriptor,
        buffer: Buffer,
        offset: int = -1,
        flags: int = 0,
        *,
        priority: int = 0,
        data: Any = None,
    ) -> EventRequest:
        """Write a buffer (aio_write): how many bytes were written. Arguments as of `read`."""
        return self.ask(
            requests.write(file, buffer, offset, flags, priority=priority, data=data),
        )

    def readv(
        self,
        file: Descriptor,
        buffers: Iterable[Buffer],
        offset: int = -1,
        flags: int = 0,
        *,
        priority: int = 0,
        data: Any = None,
    ) -> EventRequest:
        """Read into several buffers in turn; as `read`."""
        return self.ask(
            requests.readv(file, buffers, offset, flags, priority=priority, data=data),
        )

    def writev(
        self,
        file: Descriptor,
        buffers: Iterable[Buffer],
        offset: int = -1,
        flags: int = 0,
        *,
        priority: int = 0,
        data: Any = None,
    ) -> EventRequest:
        """Write several buffers in turn; as `write`."""
        return self.ask(
            requests.writev(file, buffers, offset, flags, priority=priority, data=data),
        )

    def fsync(self, file: Descriptor, data_only: bool = False, *, data: Any = None) -> EventRequest:
        """Bring what was written to the disk (aio_fsync), `data_only` as fdatasync: 0."""
        return self.ask(requests.fsync(file, data_only, data=data))

    def open(
        self,
        path: Path,
        flags: int = os.O_RDONLY,
        mode: int = 0o777,
        *,
        dir_fd: int = AT_FDCWD,
        data: Any = None,
    ) -> EventRequest:
        """Open a file; the arguments are those of os.open: a new fd."""
        return self.ask(requests.open(path, flags, mode, dir_fd=dir_fd, data=data))

    def close_fd(self, fd: int, *, data: Any = None) -> EventRequest:
        """Close an fd: 0. Not for a socket or file object, which would not know."""
        return self.ask(requests.close(fd, data=data))

    def statx(
        self, path: Path | Descriptor, flags: int = 0, *, dir_fd: int = AT_FDCWD, data: Any = None
    ) -> EventRequest:
        """Ask for the status of a path, or of what a descriptor is open on: an os.stat_result."""
        return self.ask(requests.statx(path, flags, dir_fd=dir_fd, data=data))

    def splice(
        self,
        source: Descriptor,
        target: Descriptor,
        size: int,
        source_offset: int = -1,
        target_offset: int = -1,
        flags: int = 0,
        *,
        data: Any = None,
    ) -> EventRequest:
        """Move up to `size` bytes between two files of which one is a pipe: how many. The offset
        of a pipe is -1."""
        return self.ask(
            requests.splice(source, target, size, source_offset, target_offset, flags, data=data)
        )

    # ---- all else ------------------------------------------------------------------------------

    def poll(self, file: Descriptor, mask: int, *, data: Any = None) -> EventRequest:
        """Wait until a descriptor is ready, once: the mask of what for, as of select.poll."""
        return self.ask(requests.poll(file, mask, data=data))

    def timeout(self, seconds: float, *, data: Any = None) -> EventRequest:
        """Wait for so many seconds: 0."""
        return self.ask(requests.timeout(seconds, data=data))

    def wait_child(self, pid: int, *, data: Any = None) -> EventRequest:
        """Wait for the end of a child process: as os.waitid; whoever takes the event reaps it.
        ChildProcessError for what is no child, ProcessLookupError for no process."""
        return self.ask(requests.wait_child(pid, data=data))

    def request(
        self,
        source: requests.Waitable | Operation,
        *arguments: Any,
        data: Any = None,
        type: str = "request",  # noqa: A002
    ) -> EventRequest:
        """Wait for a semaphore or lock of zcloop.sync, for the next message of a queue of
        zcloop.message_queues, or for an operation (see zcloop.requests.wait_for). `type` is the
        event's; `arguments` go to the thing."""
        return self.ask(requests.wait_for(source, *arguments, data=data, type=type))
