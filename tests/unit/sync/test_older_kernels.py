"""Kernels before 6.7: told so by the environment, or found out by the first refusal."""

from __future__ import annotations

import asyncio
import resource
import threading

import pytest
from blocked import waiting_threads
from peers import script
from refusals import refusing
from waits import cancelled, until, waiters, waiting

from zcloop.sync import Barrier, Semaphore

pytestmark = pytest.mark.zcloop_only


@pytest.fixture(autouse=True)
def has_futex_wait():
    """These choose the kernel themselves."""
    return True


@pytest.mark.needs("futex_wait")
def test_a_refused_wait_goes_on_in_a_thread(loop_factory):
    semaphore = Semaphore(0)

    async def main():
        loop = asyncio.get_running_loop()
        task = await waiting(semaphore, semaphore.acquire())
        await until(waiting_threads)
        assert not loop.channel.has_futex_wait
        semaphore.release()
        await task
        assert waiting_threads() == 0
        await cancelled(await waiting(semaphore, semaphore.acquire()))
        await until(lambda: semaphore.waiting == 0)
        assert waiting_threads() == 0

    with (
        refusing(["futex_wait"]) as refusals,
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        runner.run(main())
    assert sum(refusals) == 1


@pytest.mark.needs("futex_wait")
def test_who_is_refused_at_a_barrier_has_arrived_once(loop_factory):
    """To leave and come again would be to wait for a round that nobody else comes to."""
    barrier = Barrier(2)

    async def main():
        waits = asyncio.create_task(barrier.wait())
        await until(lambda: barrier.n_waiting == 1)
        assert await barrier.wait() == 1
        return await asyncio.wait_for(waits, 10)

    with refusing(["futex_wait"]), asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(main()) == 0


@pytest.mark.needs("futex_wait")
async def test_without_a_descriptor_for_a_thread_nobody_waits(loop):
    semaphore = Semaphore(0)
    loop.channel.has_futex_wait = False
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            await semaphore.acquire()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert semaphore.waiting == 0


@pytest.mark.needs("futex_wait")
def test_a_wait_goes_on_from_one_run_to_the_next_and_to_another_thread(loop_factory):
    semaphore = Semaphore(0)
    loop = loop_factory()
    loop.channel.has_futex_wait = False
    task = loop.create_task(semaphore.acquire())
    loop.run_until_complete(until(waiting_threads))
    semaphore.release()  # while nobody runs the loop
    thread = threading.Thread(target=loop.run_until_complete, args=[task])
    thread.start()
    thread.join()
    assert task.result() is True
    assert (semaphore.value, semaphore.waiting, waiting_threads()) == (0, 0, 0)
    loop.close()


@pytest.mark.usefixtures("needs_futex_wait")
async def test_the_ring_needs_no_thread():
    semaphore = Semaphore(0)
    async with waiters(semaphore, semaphore.acquire, 100):
        assert waiting_threads() == 0


def test_the_environment_says_without(monkeypatch):
    monkeypatch.setenv("ZCLOOP_WITHOUT", "futex_wait")
    said = script(
        """
from zcloop.sync import Semaphore

async def main():
    semaphore = Semaphore(0)
    task = asyncio.create_task(semaphore.acquire())
    while not semaphore.waiting or len(os.listdir("/proc/self/task")) < 2:
        await asyncio.sleep(0)
    print(len(os.listdir("/proc/self/task")))
    semaphore.release()
    await task

with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
"""
    )
    assert said == "2\n"
