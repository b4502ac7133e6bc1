"""What an event channel can be asked for, as requests to be submitted together.

    channel.submit([requests.write(file, b"...", 0), requests.fsync(file)], mode="linked")

Each function makes one request, and submits nothing. `channel.recv(...)` is short for
`channel.ask(requests.recv(...))`, and so on: the channel has a method for each function here. A
request goes to one channel, once, and ends with one Event, which has the `data` that is given here.
The event has the result, or the errno; its `check()` raises that.

A request holds its buffers, which stay exported until its event has been taken, and copies nothing.
They must not change, and may be written to, until then. A descriptor is a number, or an object
with fileno(), which the program keeps open. `flags` are those of the system call.

All functions raise TypeError for what is no buffer or has no descriptor, BufferError for a buffer
that is read-only and would be filled, or that is not contiguous, and ValueError or OverflowError
for a closed file and for numbers out of range. They are thread-safe.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from zcloop._native.events.event_queue import descriptor_of
from zcloop._native.events.event_request import EventRequest
from zcloop._native.operation import file_status, files, message, network, request
from zcloop._native.operation.operation import Operation
from zcloop._native.operation.wait_child import WaitChild

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = [
    "EventRequest",
    "accept",
    "close",
    "connect",
    "fsync",
    "open",
    "poll",
    "read",
    "readv",
    "recv",
    "recvfrom",
    "recvmsg",
    "send",
    "sendmsg",
    "sendto",
    "splice",
    "statx",
    "timeout",
    "wait_child",
    "wait_for",
    "write",
    "writev",
]


class HasFileno(Protocol):
    """A socket, a file, or what else has a descriptor."""

    def fileno(self) -> int:
        """The descriptor."""


Descriptor = int | HasFileno
Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
AT_FDCWD = -100  # of <fcntl.h>: paths are relative to the working directory


def recv(sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None) -> EventRequest:
    """Receive from a connected socket into a writable buffer: recv(2), aio_recv.

    The event's result is how many bytes came, 0 at the end of the stream. Of several requests that
    wait for one stream any may be served first; in a linked batch they are served in order.
    """
    asked = network.recv(descriptor_of(sock), buffer, flags)
    return EventRequest("recv", sock, asked, data=data)


def recvfrom(sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None) -> EventRequest:
    """Receive a datagram into a writable buffer: recvfrom(2), aio_recvfrom.

    The event's result is (count, address), the address as the socket module has it. What does not
    fit into the buffer is lost, as the system call has it.
    """
    asked = message.recvfrom(descriptor_of(sock), buffer, flags)
    return EventRequest("recvfrom", sock, asked, data=data)


def recvmsg(
    sock: Descriptor,
    buffers: Iterable[Buffer],
    ancillary_size: int = 0,
    flags: int = 0,
    *,
    data: Any = None,
) -> EventRequest:
    """Receive into several writable buffers in turn: recvmsg(2), aio_recvmsg.

    The event's result is that of socket.recvmsg_into: (count, ancillary, flags, address).
    `ancillary` is a list of (level, type, data); `ancillary_size` is the room for it in bytes
    (socket.CMSG_SPACE). Descriptors that come along are close-on-exec, and closed if the event is
    dropped. ValueError for more than 1,024 buffers or an `ancillary_size` out of range.
    """
    asked = message.recvmsg(descriptor_of(sock), buffers, ancillary_size, flags)
    return EventRequest("recvmsg", sock, asked, data=data)


def send(sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None) -> EventRequest:
    """Send a buffer to a connected socket: send(2), aio_send.

    The event's result is how many bytes were sent, which can be fewer than the buffer has. A peer
    that is gone is EPIPE, never a SIGPIPE.
    """
    asked = network.send(descriptor_of(sock), buffer, flags)
    return EventRequest("send", sock, asked, data=data)


def sendto(
    sock: Descriptor, buffer: Buffer, address: Any, flags: int = 0, *, data: Any = None
) -> EventRequest:
    """Send a datagram to an address: sendto(2), aio_sendto.

    `address` is numeric, as the socket module has it for IPv4 and IPv6, or that of a Unix socket;
    ValueError for a host name, which socket.getaddrinfo resolves. The event's result is how many
    bytes were sent.
    """
    asked = message.sendto(descriptor_of(sock), buffer, address, flags)
    return EventRequest("sendto", sock, asked, data=data)


def sendmsg(
    sock: Descriptor,
    buffers: Iterable[Buffer],
    ancillary: Iterable[tuple[int, int, Buffer]] = (),
    flags: int = 0,
    address: Any = None,
    *,
    data: Any = None,
) -> EventRequest:
    """Send several buffers as one message, with ancillary data: sendmsg(2), aio_sendmsg.

    `ancillary` has (level, type, data) as for socket.sendmsg; `address` is as of `sendto`, None for
    a connected socket. The event's result is how many bytes were sent. ValueError for more than
    1,024 buffers.
    """
    asked = message.sendmsg(descriptor_of(sock), buffers, ancillary, flags, address)
    return EventRequest("sendmsg", sock, asked, data=data)


def accept(sock: Descriptor, flags: int = 0, *, data: Any = None) -> EventRequest:
    """Accept a connection of a listening socket: accept4(2).

    The event's result is the connection's descriptor, close-on-exec:
    `socket.socket(fileno=event.result)` owns it. `flags` can be SOCK_NONBLOCK. A connection whose
    event is dropped is closed.
    """
    return EventRequest("accept", sock, network.accept(descriptor_of(sock), flags), data=data)


def connect(sock: Descriptor, address: Any, *, data: Any = None) -> EventRequest:
    """Connect a socket to an address, as of `sendto`: connect(2).

    The event's result is 0 when the socket is connected. A Unix listener with a full backlog is
    EAGAIN for a socket that does not block; a socket that blocks waits for room, in a thread of the
    kernel's.
    """
    return EventRequest("connect", sock, network.connect(descriptor_of(sock), address), data=data)


def read(
    file: Descriptor,
    buffer: Buffer,
    offset: int = -1,
    flags: int = 0,
    *,
    priority: int = 0,
    data: Any = None,
) -> EventRequest:
    """Read from a file into a writable buffer: preadv2(2), aio_read.

    It reads at `offset`, in bytes from the file's start; -1 is the file's own position, which
    moves. The event's result is how many bytes came, 0 at the end of the file. `flags` are RWF_*;
    `priority` is as for ioprio_set(2), from 0 to 65535 (aio_reqprio). Memory of a Region is a
    registered buffer of the kernel. ValueError for another negative offset or a bad priority.
    """
    asked = files.read(descriptor_of(file), buffer, offset, flags)
    return EventRequest("read", file, asked, data=data, priority=priority)


def write(
    file: Descriptor,
    buffer: Buffer,
    offset: int = -1,
    flags: int = 0,
    *,
    priority: int = 0,
    data: Any = None,
) -> EventRequest:
    """Write a buffer to a file: pwritev2(2), aio_write.

    The event's result is how many bytes were written. `offset`, `flags`, `priority` and errors are
    as of `read`.
    """
    asked = files.write(descriptor_of(file), buffer, offset, flags)
    return EventRequest("write", file, asked, data=data, priority=priority)


def readv(
    file: Descriptor,
    buffers: Iterable[Buffer],
    offset: int = -1,
    flags: int = 0,
    *,
    priority: int = 0,
    data: Any = None,
) -> EventRequest:
    """Read from a file into several writable buffers in turn: preadv2(2).

    As `read`, but without registered buffers. The event's result is how many bytes came in all.
    ValueError for more than 1,024 buffers.
    """
    asked = files.readv(descriptor_of(file), buffers, offset, flags)
    return EventRequest("readv", file, asked, data=data, priority=priority)


def writev(
    file: Descriptor,
    buffers: Iterable[Buffer],
    offset: int = -1,
    flags: int = 0,
    *,
    priority: int = 0,
    data: Any = None,
) -> EventRequest:
    """Write several buffers to a file, one after another: pwritev2(2).

    As `write`, but without registered buffers. The event's result is how many bytes were written
    in all. ValueError for more than 1,024 buffers.
    """
    asked = files.writev(descriptor_of(file), buffers, offset, flags)
    return EventRequest("writev", file, asked, data=data, priority=priority)


def fsync(file: Descriptor, data_only: bool = False, *, data: Any = None) -> EventRequest:
    """Bring what was written to the disk: fsync(2), or with `data_only` fdatasync(2); aio_fsync.

    The event's result is 0 when it is there.
    """
    return EventRequest("fsync", file, files.fsync(descriptor_of(file), data_only), data=data)


def open(  # noqa: A001
    path: Path,
    flags: int = os.O_RDONLY,
    mode: int = 0o777,
    *,
    dir_fd: int = AT_FDCWD,
    data: Any = None,
) -> EventRequest:
    """Open a file: openat(2). The arguments are those of os.open.

    The event's result is a new descriptor, close-on-exec. It is closed if the event is dropped.
    """
    return EventRequest("open", path, files.openat(path, flags, mode, dir_fd), data=data)


def close(file: Descriptor, *, data: Any = None) -> EventRequest:
    """Close a descriptor: close(2). The channel's method is `close_fd`.

    The event's result is 0 when it is closed. Not for a socket or file object, which would not know
    that it is closed.
    """
    return EventRequest("close", file, files.close(descriptor_of(file)), data=data)


def statx(
    path: Path | Descriptor, flags: int = 0, *, dir_fd: int = AT_FDCWD, data: Any = None
) -> EventRequest:
    """Ask for a file's status: statx(2), of a path or of what a descriptor is open on.

    The event's result is an os.stat_result. `flags` are AT_*, such as AT_SYMLINK_NOFOLLOW (0x100).
    """
    if isinstance(path, (str, bytes, os.PathLike)):
        asked = file_status.statx(path, dir_fd, flags)
    else:
        asked = file_status.statx(b"", descriptor_of(path), flags)
    return EventRequest("statx", path, asked, data=data)


def splice(
    source: Descriptor,
    target: Descriptor,
    size: int,
    source_offset: int = -1,
    target_offset: int = -1,
    flags: int = 0,
    *,
    data: Any = None,
) -> EventRequest:
    """Move bytes between two files of which one is a pipe, without a copy in user space: splice(2).

    `size` is the most that is moved, in bytes. The offsets count from the start of a file; they are
    -1 for a pipe, and for a file's own position. `flags` are SPLICE_F_*. The event's result is how
    many bytes were moved, 0 at the end of the source.
    """
    asked = files.splice(
        descriptor_of(source), source_offset, descriptor_of(target), target_offset, size, flags
    )
    return EventRequest("splice", source, asked, data=data)


def poll(file: Descriptor, mask: int, *, data: Any = None) -> EventRequest:
    """Wait until a descriptor is ready, once: poll(2).

    `mask` says what to wait for, as of select.poll: select.POLLIN and so on. POLLERR and POLLHUP
    are always waited for. The event's result is the mask of what was found.
    """
    return EventRequest("poll", file, request.poll(descriptor_of(file), mask), data=data)


def timeout(seconds: float, *, data: Any = None) -> EventRequest:
    """Wait for `seconds` to pass.

    The event's result is 0. The event's source is the number of seconds. ValueError for a negative
    time, or one of 1e9 seconds and more.
    """
    return EventRequest("timeout", seconds, request.timeout(seconds), data=data)


def wait_child(pid: int, *, data: Any = None) -> EventRequest:
    """Wait for the end of a child process: waitid(2) by a pidfd (since Linux 5.3).

    The event's result is as of os.waitid. Whoever takes the event reaps the child; ECHILD if
    somebody else has. Raises ChildProcessError for a process that is no child of this one,
    ProcessLookupError for one that does not exist, ValueError for a pid below 1.
    """
    return EventRequest("wait_child", pid, WaitChild(pid), data=data)


class Waitable(Protocol):
    """What a channel can wait for: it gives an operation for each wait."""

    def _operation(self, *arguments: Any) -> Operation: ...


def wait_for(
    source: Waitable | Operation,
    *arguments: Any,
    data: Any = None,
    type: str = "request",  # noqa: A002
) -> EventRequest:
    """Wait for a thing that can be waited for. The channel's method is `request`.

    Such a thing is a semaphore, lock or barrier of zcloop.sync, a queue of zcloop.message_queues,
    whose next message is received, a SysvSemaphore, with the changes as an argument, or an
    operation, as zcloop.sync.operation() and a queue's sending() make it. `arguments` go to the
    thing, and `type` is the event's. The event's result is 0 for what is acquired, the place among
    those who came to a barrier, (data, priority) or (data, type) for a message, and None for a
    SysvSemaphore and for a message that was sent. TypeError for what cannot be waited for.
    """
    if isinstance(source, Operation):
        return EventRequest(type, source, source, data=data)
    maker = getattr(source, "_operation", None)
    if maker is None:
        raise TypeError(f"{source!r} is nothing that a channel can wait for")
    return EventRequest(type, source, maker(*arguments), data=data)
