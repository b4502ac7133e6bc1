"""Semaphores, locks and barriers that tasks, threads and processes wait for without polling.

What waits on a zcloop loop waits in the loop's own ring, on a futex word; what has no loop uses
the blocking methods. In private memory by default; with `buffer=` in memory that processes share.
"""

from __future__ import annotations

import asyncio
import multiprocessing.synchronize
from typing import Any

from zcloop._native.sync.acquire_lock import AcquireLock
from zcloop._native.sync.futex_wait import FutexWait
from zcloop._native.sync.posix_semaphore import PosixSemaphore
from zcloop.sync._barrier import Barrier
from zcloop.sync._mutex import Mutex, OwnerDiedError
from zcloop.sync._read_write_lock import ReadWriteLock
from zcloop.sync._semaphore import NamedSemaphore, Semaphore
from zcloop.sync._waiting import check, take

__all__ = [
    "Barrier",
    "Mutex",
    "NamedSemaphore",
    "OwnerDiedError",
    "ReadWriteLock",
    "Semaphore",
    "acquire",
    "operation",
]


def operation(thing: Any) -> FutexWait:
    """A fresh operation that acquires `thing`, for `EventChannel.request`: of this module, or a
    Semaphore, BoundedSemaphore, Lock or RLock of multiprocessing. TypeError for others.
    """
    if isinstance(thing, multiprocessing.synchronize.SemLock):
        words = PosixSemaphore()
        words._adopt(thing._semlock)  # type: ignore[attr-defined]
        return AcquireLock(words)
    if hasattr(thing, "_operation"):
        return thing._operation()  # type: ignore[no-any-return]
    raise TypeError(
        f"cannot wait for a {type(thing).__name__}: a semaphore or lock of multiprocessing or of "
        "zcloop.sync is needed"
    )


# The timeout is an argument as it is of multiprocessing's own `acquire`.
async def acquire(thing: Any, timeout: float | None = None) -> None:  # noqa: ASYNC109
    """Acquire a semaphore or lock of multiprocessing (or of this module), without a thread.

    `thing.release()` gives it back, by stock Python in any process. TimeoutError after `timeout`
    seconds; cancelled or timed out, it has taken nothing. multiprocessing's own books are kept,
    as if its `acquire` had been called in the loop's thread: an RLock belongs to that thread,
    and so to every task of the loop. Fairness is the semaphore's: see Semaphore.
    NotImplementedError where libc is not 64-bit glibc.
    """
    async with asyncio.timeout(timeout):
        check(await take(operation(thing)), thing)
