"""zcloop.Loop: the interpreter's own asyncio on a native core.

`Core` (native) comes first in the method resolution order and overrides what runs per callback.
BaseEventLoop brings the cold paths of whichever Python this is: create_connection, happy
eyeballs, create_server, start_tls, executors, async generators, exception handling. What lives
in asyncio's selector loop and needs no selector (sock_*, signal handlers, Unix connections,
sendfile) is taken from there by name: these functions only ask for `_add_reader` and the like.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import weakref
from asyncio import base_events, selector_events, unix_events
from collections.abc import Callable
from typing import Any

from zcloop._native.loop.core import Core
from zcloop.subprocess import SubprocessTransport, watch_child

_Selector: Any = selector_events.BaseSelectorEventLoop
_Unix: Any = unix_events._UnixSelectorEventLoop

# Every name here is public API or a helper of one, present from 3.11 to 3.14.
_FROM_SELECTOR_LOOP = (
    "_ensure_fd_no_transport",
    "add_reader",
    "remove_reader",
    "add_writer",
    "remove_writer",
    "sock_recv",
    "_sock_recv",
    "_sock_read_done",
    "sock_recv_into",
    "_sock_recv_into",
    "sock_recvfrom",
    "_sock_recvfrom",
    "sock_recvfrom_into",
    "_sock_recvfrom_into",
    "sock_sendall",
    "_sock_sendall",
    "sock_sendto",
    "_sock_sendto",
    "sock_connect",
    "_sock_connect",
    "_sock_connect_cb",
    "_sock_write_done",
    "sock_accept",
    "_sock_accept",
    "_sendfile_native",
)
_FROM_UNIX_LOOP = (
    "add_signal_handler",
    "_handle_signal",
    "_check_signal",
    "_process_self_data",
    "create_unix_connection",
    "create_unix_server",
    "_sock_sendfile_native",
    "_sock_sendfile_native_impl",
    "_sock_sendfile_update_filepos",
    "_sock_add_cancellation_callback",
)


class _WakeupFd:
    """What asyncio's add_signal_handler calls `_csock`: something with a fileno()."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd


class Loop(Core, base_events.BaseEventLoop):  # type: ignore[misc]
    """An asyncio event loop on one io_uring channel.

    Not thread-safe but for `call_soon_threadsafe`; may be run by one thread and later by another.
    Raises OSError, saying what to do, where the kernel or a policy refuses io_uring.
    """

    def __init__(self) -> None:
        base_events.BaseEventLoop.__init__(self)
        self._signal_handlers: dict[int, Any] = {}
        self._signal_pipe: tuple[int, int] | None = None
        self._transports: Any = weakref.WeakValueDictionary()
        self._unix_server_sockets: dict[Any, int] = {}

    def _run_once(self) -> None:
        is_claimed = self._claim_wakeup_fd()
        try:
            Core._run_once(self)
        finally:
            if is_claimed and not self._signal_handlers:
                signal.set_wakeup_fd(-1)

    def close(self) -> None:
        """End every request and close the loop. Idempotent; RuntimeError while it runs."""
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        for sig in list(self._signal_handlers):
            self.remove_signal_handler(sig)
        base_events.BaseEventLoop.close(self)
        self._close_core()
        if self._signal_pipe is not None:
            for fd in self._signal_pipe:
                os.close(fd)
            self._signal_pipe = None

    # ---- signals -----------------------------------------------------------------------------

    @property
    def _csock(self) -> _WakeupFd:
        if self._signal_pipe is None:
            read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(write_fd, False)
            self._signal_pipe = read_fd, write_fd
            self._listen_signals(read_fd)
        return _WakeupFd(self._signal_pipe[1])

    def _claim_wakeup_fd(self) -> bool:
        """While the main thread runs the loop, any signal wakes it, whichever thread got it."""
        if threading.get_ident() != threading.main_thread().ident:
            return False
        ours = self._csock.fileno()
        before = signal.set_wakeup_fd(ours, warn_on_full_buffer=False)
        if before not in (-1, ours):
            # Somebody else's: leave it, unless signal handlers were asked of this loop.
            if not self._signal_handlers:
                signal.set_wakeup_fd(before)
            return False
        return True

    def remove_signal_handler(self, sig: int) -> bool:
        """Whether there was one; afterwards the signal has Python's default action."""
        removed = bool(_Unix.remove_signal_handler(self, sig))
        if self.is_running():
            self._claim_wakeup_fd()
        return removed

    # ---- transports --------------------------------------------------------------------------

    def _make_read_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return unix_events._UnixReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(
        self, pipe: Any, protocol: Any, waiter: Any = None, extra: Any = None
    ) -> Any:
        return unix_events._UnixWritePipeTransport(self, pipe, protocol, waiter, extra)

    async def _make_subprocess_transport(
        self,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **kwargs: Any,
    ) -> Any:
        waiter = self.create_future()
        transport = SubprocessTransport(
            self, protocol, args, shell, stdin, stdout, stderr, bufsize,
            waiter=waiter, extra=extra, **kwargs,
        )  # fmt: skip
        watch_child(self, transport)
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport


def _borrow() -> None:
    for source, names in ((_Selector, _FROM_SELECTOR_LOOP), (_Unix, _FROM_UNIX_LOOP)):
        for name in names:
            if hasattr(source, name) and name not in Loop.__dict__:
                setattr(Loop, name, getattr(source, name))


_borrow()


def new_event_loop() -> Loop:
    """A new loop, for loop_factory= of asyncio.Runner, uvicorn, anyio and pytest-asyncio."""
    return Loop()
