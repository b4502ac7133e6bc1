"""One pollable fd through which a program waits for network, disk and all else, with or without
asyncio."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from zcloop import requests
from zcloop._native.events.event import Event
from zcloop._native.events.event_queue import EventQueue
from zcloop._native.operation.operation import Operation
from zcloop.requests import AT_FDCWD, Descriptor, EventRequest, Path

if TYPE_CHECKING:
    from typing_extensions import Buffer


class EventChannel(EventQueue):
    """A bounded queue of events with an fd (ec_create); each is the end of a request, or posted.

    Every request is with the kernel when its method returns, costs one system call, and ends with
    exactly one Event, which carries `data`. Failures are events too: `event.check()` raises them.
    A method raises only for what can never be a request: TypeError for what is no buffer or has
    no descriptor, ValueError and OverflowError for numbers out of range, OSError when the kernel
    takes no more requests; nothing was submitted then. Buffers are not copied: they stay exported
    until the event has been taken, and may be written to until then. `flags` are the system
    call's; new descriptors are close-on-exec. Memory of a Region is a registered buffer
    (AIO_DMA_BUF) to read() and write(), of sockets too. To recv(), send() and the like it is as any
    other: the kernel has no such receive, and its zero-copy send has two completions, not one.

    It holds `entries` events, 1 to 32768. What completes beyond that waits in the kernel, and an
    event of type "overflow" says how many did (`result`), before the last `entries` of them.
    With overflow="drop" they are dropped instead, and it says exactly how many;
    `take_dropped()` gives their requests.

    One thread is the owner, first the one that made it: the others may call `post`, `fileno` and
    `take_over` only, and get a RuntimeError. After `close` everything raises ValueError; in a
    forked child, RuntimeError.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self.is_closed:
            return f"<{type(self).__name__} closed>"
        return f"<{type(self).__name__} of {self.entries} entries, {self.inflight} in flight>"

    def __del__(self) -> None:
        if not self.is_closed:
            if not self.is_forked:
                warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.end()

    def events(self) -> Iterator[Event]:
        """Take what is there, one after another, until there is nothing. Never waits."""
        while (event := self.next_event()) is not None:
            yield event

    # ---- sockets -------------------------------------------------------------------------------

    def recv(
        self, sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None
    ) -> EventRequest:
        """Into a writable buffer: how many bytes, 0 at the end (aio_recv).

        Of several that wait for one stream any may be served first; in a linked batch they are
        filled in order.
        """
        return self.ask(requests.recv(sock, buffer, flags, data=data))

    def recvfrom(
        self, sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None
    ) -> EventRequest:
        """Into a writable buffer: (count, address) (aio_recvfrom)."""
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
        """Into several buffers: (count, ancillary data, flags, address), as of
        socket.recvmsg_into (aio_recvmsg)."""
        return self.ask(requests.recvmsg(sock, buffers, ancillary_size, flags, data=data))

    def send(
        self, sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None
    ) -> EventRequest:
        """How many bytes were sent (aio_send)."""
        return self.ask(requests.send(sock, buffer, flags, data=data))

    def sendto(
        self, sock: Descriptor, buffer: Buffer, address: Any, flags: int = 0, *, data: Any = None
    ) -> EventRequest:
        """To an address: how many bytes (aio_sendto). Numeric IPv4, IPv6 and Unix addresses;
        ValueError for host names, which socket.getaddrinfo resolves."""
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
        """From several buffers, with ancillary data as of socket.sendmsg (aio_sendmsg)."""
        return self.ask(requests.sendmsg(sock, buffers, ancillary, flags, address, data=data))

    def accept(self, sock: Descriptor, flags: int = 0, *, data: Any = None) -> EventRequest:
        """A new connection's fd; `socket.socket(fileno=event.result)` owns it."""
        return self.ask(requests.accept(sock, flags, data=data))

    def connect(self, sock: Descriptor, address: Any, *, data: Any = None) -> EventRequest:
        """To an address, as of `sendto`; 0 when connected.

        A full backlog of a Unix listener is EAGAIN to a socket that does not block; one that
        blocks waits for room, in a thread of the kernel's.
        """
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
        """Into a writable buffer: how many bytes (aio_read). At `offset`; -1 is the file's own
        position. `flags` are preadv2's; `priority` is as of ioprio_set (aio_reqprio)."""
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
        """How many bytes were written (aio_write). As `read`, with the flags of pwritev2."""
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
        """Into several buffers in turn; as `read`."""
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
        """From several buffers in turn; as `write`."""
        return self.ask(
            requests.writev(file, buffers, offset, flags, priority=priority, data=data),
        )

    def fsync(self, file: Descriptor, data_only: bool = False, *, data: Any = None) -> EventRequest:
        """0 when what was written is on the disk (aio_fsync)."""
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
        """A new fd; the arguments are those of os.open."""
        return self.ask(requests.open(path, flags, mode, dir_fd=dir_fd, data=data))

    def close_fd(self, fd: int, *, data: Any = None) -> EventRequest:
        """0 when the fd is closed. Not for a socket or file object, which would not know."""
        return self.ask(requests.close(fd, data=data))

    def statx(
        self, path: Path | Descriptor, flags: int = 0, *, dir_fd: int = AT_FDCWD, data: Any = None
    ) -> EventRequest:
        """An os.stat_result of a path, or of what a descriptor is open on."""
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
        """Move bytes between two files of which one is a pipe: how many; -1 for its offset."""
        return self.ask(
            requests.splice(source, target, size, source_offset, target_offset, flags, data=data)
        )

    # ---- all else ------------------------------------------------------------------------------

    def poll(self, file: Descriptor, mask: int, *, data: Any = None) -> EventRequest:
        """Once, when a descriptor is ready: the mask of what for, as of select.poll."""
        return self.ask(requests.poll(file, mask, data=data))

    def timeout(self, seconds: float, *, data: Any = None) -> EventRequest:
        """0 after so many seconds."""
        return self.ask(requests.timeout(seconds, data=data))

    def wait_child(self, pid: int, *, data: Any = None) -> EventRequest:
        """The end of a child process, and its status, as of os.waitid: who takes the event reaps
        it. ChildProcessError for what is no child, ProcessLookupError for no process."""
        return self.ask(requests.wait_child(pid, data=data))

    def request(
        self,
        source: requests.Waitable | Operation,
        *arguments: Any,
        data: Any = None,
        type: str = "request",  # noqa: A002
    ) -> EventRequest:
        """Wait for a thing that can be waited for: a semaphore of zcloop.sync, the next message of
        a queue of zcloop.message_queues. `type` is the event's, `arguments` go to the thing."""
        return self.ask(requests.wait_for(source, *arguments, data=data, type=type))
