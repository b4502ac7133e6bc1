from asyncio import Future, Handle, TimerHandle
from collections.abc import Callable
from contextvars import Context
from typing import Any, Self, TypeVarTuple

from _typeshed import FileDescriptorLike
from typing_extensions import disjoint_base

from zcloop._native.channel.uring import UringChannel
from zcloop._native.operation.operation import Operation, Owner
from zcloop._native.transport.endpoint import Endpoint

_Arguments = TypeVarTuple("_Arguments")

@disjoint_base
class Core(Owner):
    # The handles returned are native: they have every method of asyncio's, which programs are
    # typed against, but derive from nothing.

    _stopping: bool
    _closed: bool
    _debug: bool
    _thread_id: int | None
    _clock_resolution: float

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
    @property
    def channel(self) -> UringChannel: ...
    def transport_of(self, fd: int) -> Endpoint | None: ...
    def time(self) -> float: ...
    def call_soon(
        self,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> Handle: ...
    def call_soon_threadsafe(
        self,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> Handle: ...
    def call_later(
        self,
        delay: float,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> TimerHandle: ...
    def call_at(
        self,
        when: float,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
        context: Context | None = None,
    ) -> TimerHandle: ...
    async def perform(self, operation: Operation) -> Any: ...
    def cancel_operation(self, operation: Operation) -> None: ...
    def native_transports(self) -> list[Any]: ...
    def statistics(self) -> dict[str, int]: ...
    def abandon(self) -> None: ...
    def _run_once(self) -> None: ...
    def _close_core(self) -> None: ...
    def _listen_signals(self, fd: int) -> None: ...
    def _read_signals(self) -> None: ...
    def _write_to_self(self) -> None: ...
    def _add_callback(self, handle: Any) -> None: ...
    def _timer_handle_cancelled(self, handle: Any) -> None: ...
    def _add_reader(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
    ) -> Handle: ...
    def _remove_reader(self, fd: FileDescriptorLike) -> bool: ...
    def _add_writer(
        self,
        fd: FileDescriptorLike,
        callback: Callable[[*_Arguments], object],
        *args: *_Arguments,
    ) -> Handle: ...
    def _remove_writer(self, fd: FileDescriptorLike) -> bool: ...
    def _await_socket(
        self, socket: FileDescriptorLike, to_write: bool, waiter: Future[None]
    ) -> Handle: ...
