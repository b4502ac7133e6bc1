"""What a test may not leave behind: descriptors, processes, threads, loops, slots, leases …"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import gc
import os
import pathlib
import re
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import zcloop
from zcloop.testing import assert_no_leases, leases_out

# A loop that slept once keeps a read on its eventfd, and one on its signal pipe.
WAKE_UPS = 2
TURNS_TO_SETTLE = 100
# Counters that are 0 once a loop is closed.
MUST_BE_HOME = ("operations", "inflight", "slots_lent", "ready", "timers")


def open_files() -> collections.Counter[str]:
    """Count the open descriptors by kind: a path, or socket, pipe, eventpoll, …"""
    kinds: collections.Counter[str] = collections.Counter()
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the descriptor that lists the directory
            kinds[re.sub(r":\[\d+\]$", "", os.readlink(entry.path))] += 1
    return kinds


def children() -> set[int]:
    """The pids of all children of all threads, zombies included."""
    found: set[int] = set()
    for task in pathlib.Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it just ended
            found.update(map(int, (task / "children").read_text().split()))
    return found


def check_settled(loop: asyncio.AbstractEventLoop) -> None:
    """If no transport of an open loop is open, its counters are back to 0 within a few turns."""
    if not isinstance(loop, zcloop.Loop) or loop.is_closed():
        return
    for _ in range(TURNS_TO_SETTLE):
        loop.run_until_complete(asyncio.sleep(0))
        books = loop.statistics()
        if books["transports"] == 0 and books["operations"] <= WAKE_UPS:
            break
    assert (books["transports"], books["slots_lent"]) == (0, 0), books
    assert books["operations"] <= WAKE_UPS, books


@contextlib.contextmanager
def loops_watched() -> Iterator[tuple[list[weakref.ref[Any]], list[dict[str, int]]]]:
    """References to the loops made meanwhile, and what was not home after the close of one: no
    more, for there are tests that make thousands and look at their memory."""
    made: list[weakref.ref[Any]] = []
    closed: list[dict[str, int]] = []
    init, close = zcloop.Loop.__init__, zcloop.Loop.close

    def remembered(self: zcloop.Loop, **options: Any) -> None:
        init(self, **options)
        made.append(weakref.ref(self))

    def audited(self: zcloop.Loop) -> None:
        close(self)
        books = self.statistics()
        if any(books[name] for name in MUST_BE_HOME):
            closed.append(books)

    zcloop.Loop.__init__, zcloop.Loop.close = remembered, audited
    try:
        yield made, closed
    finally:
        zcloop.Loop.__init__, zcloop.Loop.close = init, close


@contextlib.contextmanager
def guard() -> Iterator[None]:
    """Fail what its block leaks."""
    gc.collect()
    files, processes, threads = open_files(), children(), set(threading.enumerate())
    leases = leases_out()
    with loops_watched() as (made, closed):
        yield
    gc.collect()
    assert [loop for loop in (each() for each in made) if loop and not loop.is_closed()] == []
    for books in closed:
        assert {name: books[name] for name in MUST_BE_HOME} == dict.fromkeys(MUST_BE_HOME, 0), books
    assert_no_leases(leases)
    assert dict(open_files() - files) == {}, "descriptors leaked"
    assert children() - processes == set(), "child processes leaked"
    assert set(threading.enumerate()) - threads == set(), "threads leaked"
