"""Things to wait for, in private and in shared memory, on kernels with and without futexes in
their rings."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import Callable

import pytest
from features import waits_for_futexes

import zcloop

KERNELS = {"ring": True, "thread": False}


@pytest.fixture(autouse=True, params=KERNELS.values(), ids=KERNELS)
def has_futex_wait(request: pytest.FixtureRequest) -> bool:
    """Whether the ring waits, or as before Linux 6.7 a thread."""
    if request.param and not waits_for_futexes():
        pytest.skip("the rings here wait for no futexes")
    return request.param


@pytest.fixture
def loop_factory(has_futex_wait: bool, loop_factory: Callable) -> Callable:
    def factory() -> asyncio.AbstractEventLoop:
        loop = loop_factory()
        if isinstance(loop, zcloop.Loop):
            assert loop.channel.has_futex_wait or not has_futex_wait
            loop.channel.has_futex_wait = has_futex_wait
        return loop

    return factory


@pytest.fixture(params=["private", "shared"])
def memory(request: pytest.FixtureRequest) -> dict:
    """Arguments that say where a thing is made."""
    return {} if request.param == "private" else {"buffer": mmap.mmap(-1, 4096), "offset": 64}


@pytest.fixture
def shared() -> mmap.mmap:
    """Memory that a forked child shares; gone with the last thing in it."""
    return mmap.mmap(-1, 4096)
