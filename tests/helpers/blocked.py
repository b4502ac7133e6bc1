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
    """Return how many threads wait in a System V call. Python does not know these threads."""
    found = 0
    for entry in pathlib.Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it just ended
            found += (entry / "comm").read_text() == "zcloop wait\n"
    return found


def system_call(thread: int) -> str:
    """Return the number of the system call that a thread sleeps in, or "running"."""
    return pathlib.Path(f"/proc/self/task/{thread}/syscall").read_text().split()[0]


@contextlib.contextmanager
def interrupted_by(handler: Callable[[], object]) -> Iterator[None]:
    """Send this thread a signal with this handler as soon as it sleeps in a system call. A futex
    does not count: a thread that waits for the GIL sleeps in one."""
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
