"""Waiting on the running loop for what a FutexWait takes.

The wait is a request of the loop's own ring: no thread, no polling. Where the kernel has none
(before 6.7) each wait costs a native thread of its own, which sleeps on the word until it is woken
or the wait is cancelled. Threads of the loop's executor would be used up by waits that depend on
each other.
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


async def take(operation: FutexWait) -> int:
    """Perform the operation: a result that is not negative, or -errno.

    Cancelled, it has taken nothing. RuntimeError when the running loop is not zcloop's.
    """
    loop = running_loop("what zcloop.sync makes", BLOCKING_METHODS)
    result = operation.begin()
    if result != NOT_YET:
        return result
    healer = Healer(loop, operation) if operation.is_robust else None
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
    """What is free may be what others were woken for: until the loop has seen that, too.

    A request of the ring, since the wait that follows would overtake the wake-ups of others.
    """
    try:
        await loop.perform(nop())
    except BaseException:
        operation.end()
        raise


class Healer:
    """While something waits: looks again and again whether a process that holds it up has died."""

    def __init__(self, loop: Loop, operation: FutexWait) -> None:
        self._loop = loop
        self._operation = operation
        self._heal()

    def _heal(self) -> None:
        self._operation.heal()
        self._handle: asyncio.TimerHandle = self._loop.call_later(HEAL_SECONDS, self._heal)

    def cancel(self) -> None:
        self._handle.cancel()


def check(result: int, thing: Any) -> None:
    """Raise what a negative result means."""
    if result < 0:
        raise OSError(-result, f"{os.strerror(-result)}: waiting for {thing!r}")


class Acquirable:
    """What is acquired and released: `_operation` says how to wait for it."""

    def _operation(self) -> FutexWait:
        raise NotImplementedError

    def try_acquire(self) -> bool:
        raise NotImplementedError

    def release(self) -> None:
        raise NotImplementedError

    async def acquire(self) -> Literal[True]:
        """Take it, after those who wait already; True, as asyncio's. For a timeout use
        asyncio.timeout().

        Cancelled, it has taken nothing, and the wake-up that it may have had is passed on.
        RuntimeError on a loop that is not zcloop's.
        """
        self._check(await take(self._operation()))
        return True

    def acquire_blocking(self, timeout: float | None = None) -> bool:
        """The same in a thread with no loop; False when `timeout` seconds went by. Releases the
        GIL, and runs signal handlers."""
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
