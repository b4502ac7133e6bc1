"""zcloop.sync.Semaphore: tokens, order, cancellation at every point, and what it refuses."""

from __future__ import annotations

import asyncio
import threading

import pytest
from peers import io_passed
from waits import cancelled, until, waiters, waiting

from zcloop.sync import Semaphore

pytestmark = pytest.mark.zcloop_only


async def test_free_tokens_are_taken_at_once(memory):
    semaphore = Semaphore(2, **memory)
    assert await semaphore.acquire() is True
    async with semaphore:
        assert semaphore.value == 0
        assert not semaphore.try_acquire()
    assert semaphore.value == 1
    assert semaphore.try_acquire()


async def test_acquire_waits_for_a_release(memory):
    semaphore = Semaphore(0, **memory)
    task = await waiting(semaphore, semaphore.acquire())
    assert (semaphore.value, semaphore.waiting) == (0, 1)
    semaphore.release()
    await task
    assert (semaphore.value, semaphore.waiting) == (0, 0)


async def test_releases_of_several_tokens_wake_as_many(memory):
    semaphore = Semaphore(0, **memory)
    async with waiters(semaphore, semaphore.acquire, 5) as tasks:
        semaphore.release(3)
        await until(lambda: sum(task.done() for task in tasks) == 3)
        assert (semaphore.value, semaphore.waiting) == (0, 2)
    assert (semaphore.value, semaphore.waiting) == (0, 0)


async def test_waiters_are_served_in_the_order_in_which_they_came(memory):
    semaphore = Semaphore(0, **memory)
    order = []

    async def acquire(number):
        await semaphore.acquire()
        order.append(number)

    tasks = [await waiting(semaphore, acquire(number)) for number in range(10)]
    await io_passed()  # the last one's wait is in the kernel
    if asyncio.get_running_loop().channel.has_futex_wait:
        for number in range(10):
            semaphore.release()
            await tasks[number]
        assert order == list(range(10))
    else:
        semaphore.release(10)  # threads begin to sleep in any order
        await asyncio.gather(*tasks)
        assert sorted(order) == list(range(10))


async def test_a_task_that_acquires_again_and_again_lets_others_in(memory):
    semaphore = Semaphore(1, **memory)
    turns = {"one": 0, "other": 0}

    async def hog(name):
        while min(turns.values()) < 20:
            async with semaphore:
                turns[name] += 1
                await asyncio.sleep(0)

    await asyncio.gather(*map(hog, turns))


async def test_try_acquire_may_take_what_a_waiter_was_woken_for(memory):
    """A released token is nobody's: barging, stated in the class's docstring."""
    semaphore = Semaphore(0, **memory)
    task = await waiting(semaphore, semaphore.acquire())
    semaphore.release()
    assert semaphore.try_acquire()
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    semaphore.release()
    await task


async def test_a_timeout_takes_nothing(memory):
    semaphore = Semaphore(0, **memory)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await semaphore.acquire()
    await until(lambda: semaphore.waiting == 0)
    semaphore.release()
    assert semaphore.value == 1


@pytest.mark.parametrize("turns", range(4))
async def test_cancelled_any_number_of_turns_after_the_start_it_has_taken_nothing(memory, turns):
    semaphore = Semaphore(0, **memory)
    task = asyncio.create_task(semaphore.acquire())
    for _ in range(turns):
        await asyncio.sleep(0)
    await cancelled(task)
    await until(lambda: semaphore.waiting == 0)
    semaphore.release()
    assert semaphore.value == 1


@pytest.mark.parametrize("turns", range(4))
async def test_cancelled_any_number_of_turns_after_the_release_the_other_is_woken(memory, turns):
    semaphore = Semaphore(0, **memory)
    async with waiters(semaphore, semaphore.acquire, 2) as (first, second):
        semaphore.release()
        for _ in range(turns):
            await asyncio.sleep(0)
        taken = first.done() or not first.cancel()
        if not taken:
            await asyncio.wait([first])
            await second
        assert semaphore.value == 0
    assert semaphore.waiting == 0


def test_a_wait_outlasts_a_pause_of_its_loop(loop, memory):
    semaphore = Semaphore(0, **memory)
    task = loop.create_task(waiting(semaphore, semaphore.acquire()))
    task = loop.run_until_complete(task)
    assert semaphore.waiting == 1
    semaphore.release()  # while the loop does not run
    loop.run_until_complete(task)
    assert (semaphore.value, semaphore.waiting) == (0, 0)


def test_a_loop_that_is_closed_waits_no_more(loop_factory, memory):
    semaphore = Semaphore(0, **memory)
    loop = loop_factory()
    task = loop.run_until_complete(waiting(semaphore, semaphore.acquire()))
    assert semaphore.waiting == 1
    for _ in range(3):  # until a refusal has been told, where the kernel has none
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert semaphore.waiting == 0
    task._log_destroy_pending = False
    task.get_coro().close()
    assert semaphore.waiting == 0
    semaphore.release()
    assert semaphore.value == 1


def test_a_token_for_a_closed_loop_wakes_another_waiter(loop_factory, memory):
    semaphore = Semaphore(0, **memory)
    taken = threading.Event()

    async def be_woken_and_leave():
        task = await waiting(semaphore, semaphore.acquire())
        await asyncio.sleep(0)
        thread.start()
        await until(lambda: semaphore.waiting == 2)
        semaphore.release()
        return task

    def take():
        assert semaphore.acquire_blocking(20)
        taken.set()

    thread = threading.Thread(target=take)
    loop = loop_factory()
    task = loop.run_until_complete(be_woken_and_leave())
    loop.close()
    task._log_destroy_pending = False
    task.get_coro().close()
    if not task.done():
        assert taken.wait(20)
    else:
        semaphore.release()
    thread.join()
    assert (semaphore.value, semaphore.waiting) == (0, 0)


@pytest.mark.parametrize("is_released", [False, True])
def test_blocking_in_a_thread(memory, is_released):
    semaphore = Semaphore(0, **memory)
    if is_released:
        thread = threading.Thread(target=semaphore.release)
        thread.start()
        assert semaphore.acquire_blocking(20)
        thread.join()
    else:
        assert not semaphore.acquire_blocking(0)
        assert not semaphore.acquire_blocking(0.01)
    assert (semaphore.value, semaphore.waiting) == (0, 0)


async def test_a_thread_releases_what_a_task_waits_for(memory):
    semaphore = Semaphore(0, **memory)
    task = await waiting(semaphore, semaphore.acquire())
    await asyncio.to_thread(semaphore.release)
    await task


async def test_a_release_beyond_the_maximum_is_refused(memory):
    semaphore = Semaphore(1, maximum=2, **memory)
    semaphore.release()
    with pytest.raises(ValueError, match="released too many times"):
        semaphore.release()
    with pytest.raises(ValueError, match="at least one"):
        semaphore.release(0)
    assert semaphore.value == 2
    assert semaphore.maximum == 2


def test_another_loop_is_refused(memory):
    semaphore = Semaphore(1, **memory)
    with pytest.raises(RuntimeError, match=r"zcloop\.run"):
        asyncio.run(semaphore.acquire())
    assert semaphore.value == 1
