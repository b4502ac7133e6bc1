"""Semaphores, locks and barriers that tasks, threads and processes wait for without polling.

A coroutine on a zcloop loop waits in the loop's own ring, on a futex word. A thread that has no
loop uses the blocking methods. The objects are in private memory by default, and with `buffer=` in
memory that processes share.
"""

from __future__ import annotations

import asyncio
import multiprocessing.synchronize
from typing import Any

from zcloop._native.sync.acquire import AcquireLock
from zcloop._native.sync.futex_wait import FutexWait
from zcloop._native.sync.posix_semaphore import PosixSemaphore
from zcloop.sync._barrier import Barrier
from zcloop.sync._mutex import Mutex, OwnerDiedError
from zcloop.sync._read_write_lock import ReadWriteLock
from zcloop.sync._semaphore import NamedSemaphore, Semaphore
from zcloop.sync._waiting import check, perform

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
    """A new operation that acquires `thing`, for `EventChannel.request`.

    `thing` is of this module, or a Semaphore, BoundedSemaphore, Lock or RLock of multiprocessing;
    TypeError for others. The event's result is 0, or for a barrier, at which the operation waits,
    the place among those who came. With errno EOWNERDEAD a mutex or a writer's side is acquired,
    and its last holder died holding it. NotImplementedError for what is multiprocessing's where
    libc is not 64-bit glibc.
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

    `thing.release()` releases it, in any process, without zcloop. TimeoutError after `timeout`
    seconds; when it is cancelled or times out, nothing was acquired. multiprocessing counts it as
    if its own `acquire` had been called in the loop's thread: an RLock belongs to that thread, and
    so to every task of the loop. Fairness is as of Semaphore. TypeError as `operation`,
    NotImplementedError where libc is not 64-bit glibc, RuntimeError on a loop that is not zcloop's.
    """
    async with asyncio.timeout(timeout):
        check(await perform(operation(thing)), thing)
