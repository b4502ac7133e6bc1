"""zcloop.sync.Barrier: as asyncio.Barrier, between processes too."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest
from waits import cancelled, child, until

from zcloop.sync import Barrier

pytestmark = pytest.mark.zcloop_only


async def arrived(barrier, count):
    """So many tasks that wait."""
    before = barrier.n_waiting
    tasks = [asyncio.create_task(barrier.wait()) for _ in range(count)]
    await until(lambda: barrier.n_waiting == before + count)
    return tasks


async def test_all_wait_for_the_last_and_each_has_a_place(memory):
    barrier = Barrier(3, **memory)
    tasks = await arrived(barrier, 2)
    assert not any(task.done() for task in tasks)
    assert await barrier.wait() == 2
    assert sorted(await asyncio.gather(*tasks)) == [0, 1]
    assert (barrier.n_waiting, barrier.broken, barrier.parties) == (0, False, 3)


async def test_round_after_round(memory):
    barrier = Barrier(4, **memory)
    passed = []

    async def walk():
        for number in range(30):
            async with barrier as place:
                passed.append(number)
                assert 0 <= place < 4

    await asyncio.gather(*(walk() for _ in range(4)))
    # Nobody is in a round before everybody has left the one before it.
    assert passed == sorted(passed) or all(
        abs(one - other) <= 1 for one, other in zip(passed, sorted(passed), strict=True)
    )


async def test_who_is_cancelled_leaves_and_breaks_nothing(memory):
    barrier = Barrier(2, **memory)
    (task,) = await arrived(barrier, 1)
    await cancelled(task)
    await until(lambda: barrier.n_waiting == 0)
    (task,) = await arrived(barrier, 1)
    assert not barrier.broken
    await barrier.wait()
    await task


async def test_abort_breaks_it_until_reset(memory):
    barrier = Barrier(3, **memory)
    tasks = await arrived(barrier, 2)
    barrier.abort()
    for task in tasks:
        with pytest.raises(asyncio.BrokenBarrierError):
            await task
    assert barrier.broken
    with pytest.raises(asyncio.BrokenBarrierError):
        await barrier.wait()
    barrier.reset()
    assert not barrier.broken
    tasks = await arrived(barrier, 2)
    await barrier.wait()
    await asyncio.gather(*tasks)


async def test_reset_breaks_the_round_and_leaves_an_empty_barrier(memory):
    barrier = Barrier(3, **memory)
    tasks = await arrived(barrier, 2)
    barrier.reset()
    assert (barrier.n_waiting, barrier.broken) == (0, False)
    for task in tasks:
        with pytest.raises(asyncio.BrokenBarrierError):
            await task


async def test_who_is_slow_to_look_still_learns_how_its_round_ended(memory):
    barrier = Barrier(2, **memory)
    (passes,) = await arrived(barrier, 1)
    assert barrier.wait_blocking() == 1
    operation = barrier._operation()
    operation.begin()  # arrives, in a round of its own
    barrier.reset()
    for _ in range(10):
        operations = [barrier._operation() for _ in range(2)]
        places = [each.begin() for each in operations]
        assert places[1] == 1
    with pytest.raises(asyncio.BrokenBarrierError):
        barrier._place(operation.begin())
    assert await passes == 0


def test_threads_and_timeouts(memory):
    barrier = Barrier(2, **memory)
    with pytest.raises(TimeoutError):
        barrier.wait_blocking(0.01)
    assert barrier.n_waiting == 0
    places = []
    thread = threading.Thread(target=lambda: places.append(barrier.wait_blocking(20)))
    thread.start()
    places.append(barrier.wait_blocking(20))
    thread.join()
    assert sorted(places) == [0, 1]


async def test_processes_wait_for_each_other(shared):
    barrier = Barrier(2, buffer=shared)

    def walk():
        for _ in range(50):
            Barrier.attach(shared).wait_blocking(20)

    pid = os.fork()
    if pid == 0:
        try:
            walk()
        finally:
            os._exit(barrier.n_waiting)
    for _ in range(50):
        await barrier.wait()
    _, status = os.waitpid(pid, 0)
    assert status == 0


async def test_a_loop_that_ends_leaves_the_barrier(shared, loop_factory):
    barrier = Barrier(2, buffer=shared)

    def leave():
        with asyncio.Runner(loop_factory=loop_factory) as runner:

            async def come():
                await arrived(barrier, 1)

            runner.run(come())

    await asyncio.to_thread(leave)
    assert barrier.n_waiting == 0


def test_a_child_that_dies_takes_no_parents_place(shared, loop_factory):
    barrier = Barrier(2, buffer=shared)
    with asyncio.Runner(loop_factory=loop_factory) as runner:

        async def come():
            (task,) = await arrived(barrier, 1)
            with child(lambda: task.get_coro().close()):
                pass
            assert barrier.n_waiting == 1
            await cancelled(task)

        runner.run(come())


@pytest.mark.parametrize("parties", [0, -1, 1 << 15])
def test_impossible_parties_are_refused(memory, parties):
    with pytest.raises(ValueError, match="parties"):
        Barrier(parties, **memory)
