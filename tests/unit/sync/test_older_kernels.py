"""Kernels before 6.7: told so by the environment, or found out by the first refusal."""

from __future__ import annotations

import asyncio
import threading

import pytest
from peers import script
from refusals import refusing
from waits import cancelled, waiters, waiting

from zcloop.sync import Semaphore

pytestmark = pytest.mark.zcloop_only


def wait_threads():
    return [thread for thread in threading.enumerate() if "futex" in thread.name]


@pytest.fixture(autouse=True)
def has_futex_wait():
    """These choose the kernel themselves."""
    return True


def test_a_refused_wait_goes_on_in_a_thread(loop_factory):
    semaphore = Semaphore(0)

    async def main():
        loop = asyncio.get_running_loop()
        task = await waiting(semaphore, semaphore.acquire())
        while not wait_threads():
            await asyncio.sleep(0)
        assert not loop.channel.has_futex_wait
        semaphore.release()
        await task
        await cancelled(await waiting(semaphore, semaphore.acquire()))
        assert (semaphore.waiting, wait_threads()) == (0, [])

    with (
        refusing(["futex_wait"]) as refusals,
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        runner.run(main())
    assert sum(refusals) == 1


async def test_the_ring_needs_no_thread():
    semaphore = Semaphore(0)
    async with waiters(semaphore, semaphore.acquire, 100):
        assert wait_threads() == []


def test_the_environment_says_without(monkeypatch):
    monkeypatch.setenv("ZCLOOP_WITHOUT", "futex_wait")
    said = script(
        """
import threading
from zcloop.sync import Semaphore

async def main():
    semaphore = Semaphore(0)
    task = asyncio.create_task(semaphore.acquire())
    while not semaphore.waiting:
        await asyncio.sleep(0)
    print(threading.active_count())
    semaphore.release()
    await task

with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
"""
    )
    assert said == "2\n"
