"""What the kernel does for a loop: asked of a loop that tries, not of the kernel's version."""

from __future__ import annotations

import asyncio
import functools

import zcloop
from zcloop.sync import Semaphore

TURNS = 10  # until the kernel has answered


@functools.cache
def waits_for_futexes() -> bool:
    """Whether a ring waits for a futex itself (IORING_OP_FUTEX_WAIT, since Linux 6.7)."""

    async def wait() -> bool:
        semaphore = Semaphore(0)
        task = asyncio.create_task(semaphore.acquire())
        for _ in range(TURNS):
            await asyncio.sleep(0)
        semaphore.release()
        await task
        loop = asyncio.get_running_loop()
        assert isinstance(loop, zcloop.Loop)
        return bool(loop.channel.has_futex_wait)

    return zcloop.run(wait())
