"""Garbage with a finalizer that acts, and ways to decide when the collector finds it."""

from __future__ import annotations

import contextlib
import gc
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
    """The collector runs when so many more objects are there than now: in a later allocation for
    each larger number, so that a row of them reaches whatever is looked at."""
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
