"""The zcloop loop that runs, for what only that can wait for."""

from __future__ import annotations

import asyncio

from zcloop.loop._loop import Loop

BLOCKING_METHODS = ", or use the blocking methods in a thread"


def running_loop(name: str, instead: str = "") -> Loop:
    """The loop that runs in this thread. RuntimeError when it is not zcloop's: `name` is said to
    need one, and `instead` what may be done without."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, Loop):
        raise RuntimeError(
            f"{name} is waited for on a zcloop loop only, and this is "
            f"{type(loop).__qualname__}: run the program by zcloop.run(){instead}"
        )
    return loop
