from asyncio import Handle
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

from _typeshed import FileDescriptorLike
from typing_extensions import disjoint_base

from zcloop._native.channel.loop_channel import LoopChannel
from zcloop._native.loop.scheduler import Scheduler
from zcloop._native.loop.socket_wait import SocketWait

_Arguments = TypeVarTuple("_Arguments")

@disjoint_base
class Watching(Scheduler):
    @property
    def channel(self) -> LoopChannel: ...
    def add_reader(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
    ) -> None: ...
    def remove_reader(self, fd: FileDescriptorLike) -> bool: ...
    def add_writer(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
    ) -> None: ...
    def remove_writer(self, fd: FileDescriptorLike) -> bool: ...
    def _add_reader(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> Handle: ...
    def _remove_reader(self, fd: FileDescriptorLike) -> bool: ...
    def _add_writer(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> Handle: ...
    def _remove_writer(self, fd: FileDescriptorLike) -> bool: ...
    def _wait_for_socket(
        self, socket: FileDescriptorLike, to_write: bool, before: SocketWait | None = None
    ) -> SocketWait: ...
