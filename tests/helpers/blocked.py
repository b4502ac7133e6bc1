"""Threads that sleep in a system call, as the kernel sees them."""

from __future__ import annotations

import contextlib
import pathlib
import platform
import signal
import threading
from collections.abc import Callable, Iterator

import pytest
from waits import block_until

FUTEX = {"x86_64": "202", "aarch64": "98"}[platform.machine()]


def waiting_threads() -> int:
    """How many threads wait in a System V call for somebody; Python does not know them."""
    found = 0
    for entry in pathlib.Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it just ended
            found += (entry / "comm").read_text() == "zcloop wait\n"
    return found


def system_call(thread: int) -> str:
    """The number of the system call that a thread sleeps in; "running" when in none."""
    return pathlib.Path(f"/proc/self/task/{thread}/syscall").read_text().split()[0]


@contextlib.contextmanager
def interrupted_by(handler: Callable[[], object]) -> Iterator[None]:
    """A signal, with this handler, when this thread sleeps in a call (no futex: that's the GIL)."""
    if not pathlib.Path("/proc/self/syscall").exists():
        pytest.skip("there is no /proc/PID/syscall here: User Mode Linux has none")
    here, ident = threading.get_native_id(), threading.get_ident()

    def interrupt() -> None:
        block_until(lambda: system_call(here) not in ("running", FUTEX))
        signal.pthread_kill(ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, lambda number, frame: handler())
    thread = threading.Thread(target=interrupt)
    try:
        thread.start()
        yield
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
