"""Signals of a loop: handlers, and the pipe by which any signal wakes the loop.

`signal.set_wakeup_fd` has one descriptor a process. A loop that the main thread runs puts the write
end of its own pipe there, and takes it away after the run, unless it has signal handlers. One that
the program has set is left alone, unless signal handlers were asked of this loop.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from asyncio import unix_events
from collections.abc import Callable
from typing import Any, TypeVarTuple

from zcloop.loop._subprocess import reap_before_others

_Arguments = TypeVarTuple("_Arguments")

# asyncio's own handling of signals, which asks for `_csock` and for no selector.
_Unix: Any = unix_events._UnixSelectorEventLoop


class _WakeupFd:
    """What asyncio's add_signal_handler calls `_csock`: something with a fileno()."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd


class HandlingSignals:
    """The signal handlers of zcloop.Loop."""

    _listen_signals: Any
    _signal_handlers: dict[int, Any]
    _thread_id: int | None
    call_soon: Any

    # (read end, write end). It is the class's, since a fork may come while another thread makes a
    # loop.
    _signal_pipe: tuple[int, int] | None = None

    def add_signal_handler(
        self, sig: int, callback: Callable[[*_Arguments], object], *args: *_Arguments
    ) -> None:
        """Call `callback(*args)` on the loop for each arrival of the signal `sig`.

        To be called in the main thread: RuntimeError in another one, or where the signal cannot be
        caught. ValueError for what is no signal, TypeError for a coroutine function.
        """
        try:
            _Unix.add_signal_handler(self, sig, callback, *args)
        finally:
            self._claim_wakeup_fd()

    def remove_signal_handler(self, sig: int) -> bool:
        """Whether there was a handler; afterwards the signal has Python's default action."""
        try:
            return bool(_Unix.remove_signal_handler(self, sig))
        finally:
            self._claim_wakeup_fd()

    def _handle_signal(self, sig: int) -> None:
        if sig == signal.SIGCHLD:
            self.call_soon(reap_before_others, self)  # the handler is called right after it
        _Unix._handle_signal(self, sig)

    @property
    def _csock(self) -> _WakeupFd:
        if self._signal_pipe is None:
            read_fd, write_fd = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(write_fd, False)
            self._signal_pipe = read_fd, write_fd
            self._listen_signals(read_fd)
        return _WakeupFd(self._signal_pipe[1])

    def _claim_wakeup_fd(self) -> None:
        """While the main thread runs the loop, any signal wakes it, whichever thread got it."""
        if not self._thread_id == threading.get_ident() == threading.main_thread().ident:
            return
        ours = self._csock.fileno()
        before = signal.set_wakeup_fd(ours, warn_on_full_buffer=False)
        # Somebody else's stays, unless signal handlers were asked of this loop.
        if before not in (-1, ours) and not self._signal_handlers:
            signal.set_wakeup_fd(before)

    def _release_wakeup_fd(self) -> None:
        """Take ours away. A descriptor that the program has set meanwhile is left alone."""
        if self._signal_pipe is None or threading.get_ident() != threading.main_thread().ident:
            return
        current = signal.set_wakeup_fd(-1)
        if current not in (-1, self._signal_pipe[1]):
            signal.set_wakeup_fd(current)

    def _close_signal_pipe(self) -> None:
        if self._signal_pipe is not None:
            self._listen_signals(-1)
            for fd in self._signal_pipe:
                os.close(fd)
            self._signal_pipe = None

    def _renew_signal_pipe(self) -> None:
        """In a forked child that may use the loop: the pipe it has inherited is its parent's."""
        if self._signal_pipe is None:
            return
        self._close_signal_pipe()
        if self._signal_handlers:
            # As in the parent, a signal waits for the run from here on. Where there is no
            # descriptor for the pipe, the run makes it.
            with contextlib.suppress(OSError):
                signal.set_wakeup_fd(self._csock.fileno(), warn_on_full_buffer=False)
