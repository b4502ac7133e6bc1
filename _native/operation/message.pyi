from collections.abc import Iterable
from typing import Any

from typing_extensions import Buffer, disjoint_base

from zcloop._native.operation.request import Request

@disjoint_base
class Message(Request): ...

def recvfrom(fd: int, buffer: Buffer, flags: int = 0) -> Message: ...
def recvmsg(
    fd: int, buffers: Iterable[Buffer], ancillary_size: int = 0, flags: int = 0
) -> Message: ...
def sendto(fd: int, buffer: Buffer, address: Any, flags: int = 0) -> Message: ...
def sendmsg(
    fd: int,
    buffers: Iterable[Buffer],
    ancillary: Iterable[tuple[int, int, Buffer]] = (),
    flags: int = 0,
    address: Any = None,
) -> Message: ...
