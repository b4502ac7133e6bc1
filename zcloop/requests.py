"""What an event channel can be asked for, as requests to be submitted together.

    channel.submit([requests.write(file, b"...", 0), requests.fsync(file)], mode="linked")

Each function is the channel's method of that name, and raises what it raises; the request that it
returns goes to one channel, once. A request holds its buffers until its event has been taken, and
copies nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from zcloop._native.events.event_queue import descriptor_of
from zcloop._native.events.event_request import EventRequest
from zcloop._native.operation import file_status, message, network, request
from zcloop._native.operation.operation import Operation

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

    def fileno(self) -> int: ...


Descriptor = int | HasFileno
Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]
AT_FDCWD = -100


def recv(sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None) -> EventRequest:
    asked = network.recv(descriptor_of(sock), buffer, flags)
    return EventRequest("recv", sock, asked, data=data)


def recvfrom(sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None) -> EventRequest:
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
    asked = message.recvmsg(descriptor_of(sock), buffers, ancillary_size, flags)
    return EventRequest("recvmsg", sock, asked, data=data)


def send(sock: Descriptor, buffer: Buffer, flags: int = 0, *, data: Any = None) -> EventRequest:
    asked = network.send(descriptor_of(sock), buffer, flags)
    return EventRequest("send", sock, asked, data=data)


def sendto(
    sock: Descriptor, buffer: Buffer, address: Any, flags: int = 0, *, data: Any = None
) -> EventRequest:
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
    asked = message.sendmsg(descriptor_of(sock), buffers, ancillary, flags, address)
    return EventRequest("sendmsg", sock, asked, data=data)


def accept(sock: Descriptor, flags: int = 0, *, data: Any = None) -> EventRequest:
    return EventRequest("accept", sock, network.accept(descriptor_of(sock), flags), data=data)


def connect(sock: Descriptor, address: Any, *, data: Any = None) -> EventRequest:
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
    asked = request.read(descriptor_of(file), buffer, offset, flags)
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
    asked = request.write(descriptor_of(file), buffer, offset, flags)
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
    asked = request.readv(descriptor_of(file), buffers, offset, flags)
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
    asked = request.writev(descriptor_of(file), buffers, offset, flags)
    return EventRequest("writev", file, asked, data=data, priority=priority)


def fsync(file: Descriptor, data_only: bool = False, *, data: Any = None) -> EventRequest:
    return EventRequest("fsync", file, request.fsync(descriptor_of(file), data_only), data=data)


def open(  # noqa: A001
    path: Path,
    flags: int = os.O_RDONLY,
    mode: int = 0o777,
    *,
    dir_fd: int = AT_FDCWD,
    data: Any = None,
) -> EventRequest:
    return EventRequest("open", path, request.openat(path, flags, mode, dir_fd), data=data)


def close(file: Descriptor, *, data: Any = None) -> EventRequest:
    return EventRequest("close", file, request.close(descriptor_of(file)), data=data)


def statx(
    path: Path | Descriptor, flags: int = 0, *, dir_fd: int = AT_FDCWD, data: Any = None
) -> EventRequest:
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
    asked = request.splice(
        descriptor_of(source), source_offset, descriptor_of(target), target_offset, size, flags
    )
    return EventRequest("splice", source, asked, data=data)


def poll(file: Descriptor, mask: int, *, data: Any = None) -> EventRequest:
    return EventRequest("poll", file, request.poll(descriptor_of(file), mask), data=data)


def timeout(seconds: float, *, data: Any = None) -> EventRequest:
    return EventRequest("timeout", seconds, request.timeout(seconds), data=data)


def wait_child(pid: int, *, data: Any = None) -> EventRequest:
    return EventRequest("wait_child", pid, request.wait_child(pid), data=data)


class Waitable(Protocol):
    """What a channel can wait for: it gives an operation for each wait."""

    def _operation(self, *arguments: Any) -> Operation: ...


def wait_for(
    source: Waitable | Operation,
    *arguments: Any,
    data: Any = None,
    type: str = "request",  # noqa: A002
) -> EventRequest:
    if isinstance(source, Operation):
        return EventRequest(type, source, source, data=data)
    maker = getattr(source, "_operation", None)
    if maker is None:
        raise TypeError(f"{source!r} is nothing that a channel can wait for")
    return EventRequest(type, source, maker(*arguments), data=data)
