from asyncio import Future, Handle, Task, TimerHandle
from collections.abc import Callable
from contextvars import Context
from typing import Any, Self, TypeVarTuple

from typing_extensions import disjoint_base

from zcloop._native.loop.contexts import Contexts
from zcloop._native.operation.operation import Owner

_Arguments = TypeVarTuple("_Arguments")

@disjoint_base
class Scheduler(Owner):
    # The handles returned are native: they have every method of asyncio's, which programs are
    # typed against, but derive from nothing.

    _stopping: bool
    _closed: bool
    _debug: bool
    _thread_id: int | None
    _task_factory: Any
    _clock_resolution: float
    does_cancel_wait: bool

    def __new__(cls, *args: object, **kwargs: object) -> Self: ...
    @property
    def contexts(self) -> Contexts: ...
    def time(self) -> float: ...
    def get_debug(self) -> bool: ...
    def is_closed(self) -> bool: ...
    def is_running(self) -> bool: ...
    def create_future(self) -> Future[Any]: ...
    def create_task(self, coro: Any, **kwargs: Any) -> Task[Any]: ...
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
    def _check_closed(self) -> None: ...
    def _add_callback(self, handle: Any) -> None: ...
    def _timer_handle_cancelled(self, handle: Any) -> None: ...
