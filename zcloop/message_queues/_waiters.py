"""Who waits on one object, each on the loop that it runs on, so that a close can end them all."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from zcloop._native.operation.operation import Operation
from zcloop.loop import Loop
from zcloop.loop._running import BLOCKING_METHODS, running_loop

# So many things in a row are taken without waiting, then the loop has a turn: another process may
# bring more for as long as somebody takes them.
TAKEN_MAX = 100


class Waiters:
    """The operations in flight for coroutines that wait on `name`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._waiting: dict[Operation, Loop] = {}
        self._taken = 0

    def loop(self) -> Loop:
        """The running loop. RuntimeError when it is not zcloop's."""
        return running_loop(self._name, BLOCKING_METHODS)

    async def turn(self) -> None:
        """Awaited before something is taken, which a cancelled task then has not."""
        self._taken += 1
        if self._taken >= TAKEN_MAX:
            self._taken = 0
            await asyncio.sleep(0)

    async def perform(self, operation: Operation) -> Any:
        """The outcome, or -errno: -ECANCELED after `end`."""
        loop = self.loop()
        self._taken = 0
        self._waiting[operation] = loop
        try:
            return await loop.perform(operation)
        finally:
            del self._waiting[operation]

    def end(self) -> None:
        """End every wait. From any thread."""
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        for operation, loop in list(self._waiting.items()):
            if loop is here:
                loop.cancel_operation(operation)
            else:
                # A loop that is closed, or the parent process's, has nobody who waits.
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(loop.cancel_operation, operation)
