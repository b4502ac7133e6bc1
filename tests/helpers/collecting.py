"""Garbage with a finalizer that acts, and ways to decide when the collector finds it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

# What is freed meanwhile is not counted any more, so that the first of them are below 0.
ALLOCATIONS = range(-10, 35)


class Final:
    """A cycle, which is garbage as soon as it is made. Its finalizer acts."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act = act
        self.itself = self

    def __del__(self) -> None:
        self.act()


def collect_after(allocations: int) -> None:
    """Let the collector run when there are so many more objects than now. A larger number means a
    later allocation, so that a row of numbers reaches every one of interest."""
    gc.set_threshold(max(gc.get_count()[0] + allocations, 1), 1000, 1000)


@contextlib.contextmanager
def nothing_collected() -> Iterator[None]:
    """In the block only `collect_after` makes the collector run. At its end it runs once."""
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(0)
    try:
        yield
    finally:
        gc.set_threshold(0)
        gc.collect()
        gc.set_threshold(*before)


def on_its_own(file: str, name: str, seconds: float) -> None:
    """Run a coroutine function of this test file for some allocations, each on a new loop, in a
    process of its own whose free memory is overwritten: what is wrong there may crash it."""
    path = [os.path.dirname(file), os.path.dirname(__file__)]
    module = os.path.splitext(os.path.basename(file))[0]
    source = (
        f"import sys; sys.path[:0] = {path!r}\n"
        f"import zcloop, {module} as module\n"
        f"for number in range(-10, 15): zcloop.run(module.{name}(number))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-X", "faulthandler", "-c", source],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds, check=False,
        env={**os.environ, "MALLOC_PERTURB_": "165"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


async def slept() -> None:
    """Return when the loop has slept, and found what was there when this was called. It allocates
    next to nothing meanwhile, so that the collector runs where it is wanted."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_later(0.002, over.set_result, None)
    await over


def inflight() -> int:
    return asyncio.get_running_loop().statistics()["inflight"]
