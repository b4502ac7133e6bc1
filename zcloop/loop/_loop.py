"""zcloop.Loop: the interpreter's own asyncio on a native core.

`Core` (native) comes first in the method resolution order and overrides what runs per callback.
Each job that a loop has besides is a class in a module beside this one. BaseEventLoop brings the
cold paths of whichever Python this is: create_connection, happy eyeballs, create_server, executors,
async generators, exception handling. What lives in asyncio's selector loop and needs no selector
(signal handlers, Unix connections) is taken from there by name: these functions only ask for
`_add_reader` and the like.
"""

from __future__ import annotations

import asyncio
import os
import socket
from asyncio import base_events, unix_events
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, Literal, TypeVar

from zcloop._native.loop.core import Core
from zcloop._native.loop.executor_call import wrap_future
from zcloop._native.transport.socket_core import SocketCore
from zcloop.loop._connecting import Connecting
from zcloop.loop._making import MakingTransports
from zcloop.loop._sending_files import SendingFiles
from zcloop.loop._serving import Accepting, Serving
from zcloop.loop._signals import HandlingSignals
from zcloop.loop._sockets import SocketCalls
from zcloop.loop._statistics import Telling

_Result = TypeVar("_Result")

# Every name here is public API or a helper of one, present from 3.11 to 3.15.
_FROM_UNIX_LOOP = (
    "_check_signal",
    "_process_self_data",
    "create_unix_connection",
    "create_unix_server",
)


class Loop(
    SocketCore,
    Telling,
    HandlingSignals,
    MakingTransports,
    Serving,
    Connecting,
    SocketCalls,
    SendingFiles,
    base_events.BaseEventLoop,
):
    """An asyncio event loop on one channel: io_uring's, or one over epoll where that is refused.

    `backend` is "auto" (io_uring where it can be had, else epoll), "uring" or "epoll"; None is what
    the environment's ZCLOOP_BACKEND says, or "auto". ValueError for another one. With "uring" it
    raises OSError, saying what to do, where the kernel or a policy refuses io_uring.
    Not thread-safe but for `call_soon_threadsafe`; may be run by one thread and later by another.
    """

    # BaseEventLoop's own.
    _default_executor: Any
    _check_default_executor: Any

    def __init__(self, *, backend: Literal["auto", "uring", "epoll"] | None = None) -> None:
        base_events.BaseEventLoop.__init__(self)
        self._signal_handlers: dict[int, Any] = {}
        self._lent_fds: set[int] = set()  # transports' own, while a file is sent to them
        self._watched: dict[int, Any] = {}  # children by their pidfds
        self._accepting: dict[socket.socket, Accepting] = {}
        self._unix_server_sockets: dict[Any, int] = {}  # the inode of each, from Python 3.13 on

    def _run_once(self) -> None:
        self._claim_wakeup_fd()
        try:
            Core._run_once(self)
        finally:
            if not self._signal_handlers:
                self._release_wakeup_fd()

    def close(self) -> None:
        """End every request and close the loop. Idempotent; RuntimeError while it runs.

        What transports have written and the kernel still holds back leaves. No callback runs any
        more, and no protocol is told.
        """
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        try:
            base_events.BaseEventLoop.close(self)
        finally:
            while self._accepting:
                self._accepting.popitem()[1].stop()
            self._close_core()
            while self._watched:
                os.close(self._watched.popitem()[0])
        # Last: only the main thread may do this, and otherwise the pipe must stay.
        for sig in list(self._signal_handlers):
            self.remove_signal_handler(sig)
        self._release_wakeup_fd()
        self._close_signal_pipe()

    def abandon(self) -> None:
        """Called in a forked child: what the loop has in the kernel is its parent's.

        A loop that has run cannot be used in the child: RuntimeError says so. One that has never
        run makes its own ring when it runs.
        """
        self._release_wakeup_fd()
        Core.abandon(self)
        if not self.channel.is_forked:
            self._renew_signal_pipe()

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., _Result], *args: Any
    ) -> asyncio.Future[_Result]:
        """A future of `func(*args)` in `executor`; None is a pool of threads that the loop has.

        Cancelling it cancels a call that has not begun. RuntimeError when the loop is closed or its
        pool was shut down. Not thread-safe.
        """
        if self._debug or (executor is None and self._default_executor is None):
            return super().run_in_executor(executor, func, *args)
        self._check_closed()
        if executor is None:
            self._check_default_executor()
            return wrap_future(self, self._default_executor.submit(func, *args))
        return wrap_future(self, executor.submit(func, *args))

    @property
    def _nest_patched(self) -> bool:
        """What nest_asyncio asks a loop for, once it has patched asyncio.

        It replaces methods of the loop's class next, after which ours would work no more in the
        whole process. So it is refused here.
        """
        if not hasattr(asyncio, "_nest_patched"):
            raise AttributeError("_nest_patched")
        raise ValueError(
            "nest_asyncio cannot nest the runs of a zcloop loop, whose turn is native: await "
            "instead, or run the program on asyncio's own loop"
        )


def _borrow() -> None:
    unix: Any = unix_events._UnixSelectorEventLoop
    for name in _FROM_UNIX_LOOP:
        if hasattr(unix, name) and name not in Loop.__dict__:
            setattr(Loop, name, getattr(unix, name))


_borrow()


def new_event_loop(backend: Literal["auto", "uring", "epoll"] | None = None) -> Loop:
    """A new loop, for loop_factory= of asyncio.Runner, uvicorn, anyio and pytest-asyncio.

    `backend` is as of Loop: "auto", "uring" or "epoll". OSError when "uring" cannot be had.
    """
    return Loop(backend=backend)
