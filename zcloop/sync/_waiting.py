"""Waiting on the running loop for what a FutexWait acquires.

The wait is a request of the loop's own ring: no thread, no polling. Where the kernel has no such
request (before 6.7) each wait has a native thread, which sleeps on the word until it is woken or
the wait is cancelled.

Rejected: threads of the loop's executor. Waits that depend on each other would use them up.
"""

from __future__ import annotations

import asyncio
import errno
import os
from types import TracebackType
from typing import Any, Literal

from zcloop._native.operation.request import nop
from zcloop._native.sync.futex_wait import HEAL_SECONDS, NOT_YET, FutexWait
from zcloop.loop import Loop
from zcloop.loop._running import BLOCKING_METHODS, running_loop


async def perform(operation: FutexWait) -> int:
    """Perform the operation: a result that is not negative, or -errno.

    When it is cancelled, nothing was acquired. RuntimeError when the running loop is not zcloop's.
    """
    loop = running_loop("what zcloop.sync makes", BLOCKING_METHODS)
    result = operation.begin()
    if result != NOT_YET:
        return result
    healer = Healer(loop, operation) if operation.heal() else None
    try:
        if operation.is_late:
            await let_others_go_first(loop, operation)
        outcome: int = await loop.perform(operation)
    except OSError:  # no descriptor for a thread; nothing was submitted
        operation.end()
        raise
    finally:
        if healer:
            healer.cancel()
    return outcome


async def let_others_go_first(loop: Loop, operation: FutexWait) -> None:
    """Let the loop see that others were woken: what is free now may be what they were woken for.

    That takes a request of the ring: the wait that follows would overtake their wake-ups.
    """
    try:
        await loop.perform(nop())
    except BaseException:
        operation.end()
        raise


class Healer:
    """Calls `heal` of an operation every HEAL_SECONDS, until it is cancelled.

    An event channel has `events/healing`: its timer is a request, for all of its operations.
    """

    def __init__(self, loop: Loop, operation: FutexWait) -> None:
        self._loop = loop
        self._operation = operation
        self._arm()

    def _arm(self) -> None:
        self._handle: asyncio.TimerHandle = self._loop.call_later(HEAL_SECONDS, self._heal)

    def _heal(self) -> None:
        self._operation.heal()
        self._arm()

    def cancel(self) -> None:
        """No more calls of `heal`."""
        self._handle.cancel()


def check(result: int, thing: Any) -> None:
    """Raise what a negative result means."""
    if result < 0:
        raise OSError(-result, f"{os.strerror(-result)}: waiting for {thing!r}")


class Acquirable:
    """A thing that is acquired and released: `_operation` says how to wait for it."""

    def _operation(self) -> FutexWait:
        raise NotImplementedError

    def try_acquire(self) -> bool:
        """Acquire it if it is free, ahead of all who wait; whether it did."""
        raise NotImplementedError

    def release(self) -> None:
        """Release it, and wake a waiter."""
        raise NotImplementedError

    async def acquire(self) -> Literal[True]:
        """Acquire it, after those who wait already; True, as asyncio's. For a timeout use
        asyncio.timeout().

        When it is cancelled, nothing was acquired, and a wake-up that it had is passed on to
        another waiter. RuntimeError on a loop that is not zcloop's, ValueError once closed.
        """
        self._check(await perform(self._operation()))
        return True

    def acquire_blocking(self, timeout: float | None = None) -> bool:
        """Acquire it, in a thread that has no loop; False when `timeout` seconds went by.

        It lets go of the GIL while it sleeps, and runs signal handlers. Thread-safe. ValueError
        once closed.
        """
        result = self._operation().block(timeout)
        if result == -errno.ETIMEDOUT:
            return False
        self._check(result)
        return True

    def _check(self, result: int) -> None:
        check(result, self)

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
