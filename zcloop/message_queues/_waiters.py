"""The coroutines that wait on one object, each on its own loop, so that a close ends them all."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from zcloop._native.operation.operation import Operation
from zcloop.loop import Loop
from zcloop.loop._running import BLOCKING_METHODS, running_loop

# After so many calls in a row that did not have to wait, the loop has a turn. Another process may
# bring messages as fast as they are received, and the loop's other tasks would never run.
IMMEDIATE_MAX = 100


class Waiters:
    """The operations in flight for coroutines that wait on `name`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: dict[Operation, Loop] = {}
        self._immediate = 0  # calls since the loop last had a turn

    def loop(self) -> Loop:
        """The running loop. RuntimeError when it is not zcloop's."""
        return running_loop(self._name, BLOCKING_METHODS)

    async def turn(self) -> None:
        """Let other tasks run once in IMMEDIATE_MAX calls.

        It is awaited before the call is made: a task that is cancelled here has received nothing.
        """
        self._immediate += 1
        if self._immediate >= IMMEDIATE_MAX:
            self._immediate = 0
            await asyncio.sleep(0)

    async def perform(self, operation: Operation) -> Any:
        """The outcome, or -errno: -ECANCELED after `end`."""
        loop = self.loop()
        self._immediate = 0
        self._waiting[operation] = loop
        try:
            return await loop.perform(operation)
        finally:
            del self._waiting[operation]

    def end(self) -> None:
        """End every wait. Thread-safe."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        for operation, loop in list(self._waiting.items()):
            if loop is here:
                loop.cancel_operation(operation)
            else:
                # Nobody waits on a loop that is closed, or on the parent process's.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(loop.cancel_operation, operation)
