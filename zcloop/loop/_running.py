"""The running loop, for things that only a zcloop loop can wait for."""

from __future__ import annotations

import asyncio

from zcloop.loop._loop import Loop

# An `instead`, see below.
BLOCKING_METHODS = ", or use the blocking methods in a thread"


def running_loop(name: str, instead: str = "") -> Loop:
    """The loop that runs in this thread.

    RuntimeError when no loop runs, or one that is not zcloop's. The message says that `name` needs
    a zcloop loop, and ends with `instead`, which is what can be done without one.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, Loop):
        raise RuntimeError(
            f"{name} is waited for on a zcloop loop only, and this is "
            f"{type(loop).__qualname__}: run the program by zcloop.run(){instead}"
        )
    return loop
