"""Sets of System V semaphores: what they do at once, who waits, and what they refuse."""

import asyncio
import errno
import os
import random

import pytest
from blocked import interrupted_by, waiting_threads
from peers import io_passed
from waits import block_until

from zcloop.message_queues import SysvSemaphore

pytestmark = pytest.mark.zcloop_only


async def begin(semaphore, coroutine, number=0):
    """A task that the kernel counts as waiting for the semaphore."""
    before = sum(semaphore.waiting(number))
    task = asyncio.ensure_future(coroutine)
    while sum(semaphore.waiting(number)) == before:
        await asyncio.sleep(0)
    return task


async def test_acquired_and_released(semaphore):
    await semaphore.acquire()
    assert semaphore.values() == [0, 0, 5]
    assert not semaphore.try_acquire()
    semaphore.release()
    assert semaphore.try_acquire(2, 4)
    assert not semaphore.try_acquire(2, 2)
    assert semaphore.values() == [1, 0, 1]
    assert (len(semaphore), semaphore.value(2), semaphore.last_pid(2)) == (3, 1, os.getpid())


async def test_several_change_in_one_step_or_not_at_all(semaphore):
    assert semaphore.try_change([(0, -1), (1, 2), (2, -5)])
    assert semaphore.values() == [0, 2, 0]
    assert not semaphore.try_change([(1, -1), (2, -1)])
    assert semaphore.values() == [0, 2, 0]


async def test_a_release_ends_the_wait(semaphore):
    waiting = await begin(semaphore, semaphore.acquire(1, 2), 1)
    semaphore.release(1)
    await io_passed()
    assert not waiting.done()
    semaphore.release(1)
    await waiting
    assert semaphore.value(1) == 0


async def test_zero_is_waited_for(semaphore):
    waiting = await begin(semaphore, semaphore.wait_for_zero(2), 2)
    assert semaphore.waiting(2) == (0, 1)
    assert semaphore.try_acquire(2, 5)
    await waiting


async def test_those_who_wait_are_served_in_their_order(semaphore):
    order = []

    async def acquire(place):
        await semaphore.acquire(1)
        order.append(place)

    waiting = [await begin(semaphore, acquire(place), 1) for place in range(10)]
    for count in range(1, 11):
        semaphore.release(1)
        while len(order) < count:
            await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert order == list(range(10))


async def test_a_cancelled_acquire_has_changed_nothing(semaphore):
    waiting = await begin(semaphore, semaphore.acquire(1), 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert semaphore.waiting(1) == (0, 0)
    block_until(lambda: waiting_threads() == 0)
    semaphore.release(1)
    assert semaphore.value(1) == 1


@pytest.mark.parametrize("undo", [False, True])
@pytest.mark.parametrize("turns", range(5))
async def test_an_acquire_cancelled_when_it_has_succeeded_is_made_back(semaphore, turns, undo):
    for _ in range(20):
        waiting = await begin(semaphore, semaphore.acquire(1, undo=undo), 1)
        semaphore.release(1)
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        try:
            await waiting
        except asyncio.CancelledError:
            assert semaphore.try_acquire(1)
        assert semaphore.values() == [1, 0, 5]


async def test_cancelled_at_random_no_token_is_lost(semaphore):
    source = random.Random(3)
    held = most = 0

    async def work():
        nonlocal held, most
        for _ in range(50):
            try:
                async with asyncio.timeout(source.random() / 500):
                    await semaphore.acquire(2, 2)
            except TimeoutError:
                continue
            held += 1
            most = max(most, held)
            await asyncio.sleep(source.random() / 2000)
            held -= 1
            semaphore.release(2, 2)

    await asyncio.gather(*(work() for _ in range(8)))
    assert most == 2
    assert semaphore.values() == [1, 0, 5]


@pytest.mark.parametrize("ending", ["close", "remove"])
async def test_the_sets_end_is_that_of_those_who_wait(semaphore, ending):
    waiting = [await begin(semaphore, semaphore.acquire(1), 1) for _ in range(3)]
    getattr(semaphore, ending)()
    for task in waiting:
        with pytest.raises(OSError, match=r"gone|closed") as caught:
            await task
        assert caught.value.errno == (errno.EBADF if ending == "close" else errno.EIDRM)


def test_blocking_calls_say_whether_it_was_acquired_in_time(semaphore):
    assert semaphore.acquire_blocking()
    assert not semaphore.acquire_blocking(timeout=0.01)
    assert semaphore.waiting() == (0, 0)
    with interrupted_by(semaphore.release):
        assert semaphore.acquire_blocking(timeout=20)
    assert not semaphore.change_blocking([(0, -1)], timeout=0)


def test_an_exception_of_a_signal_handler_leaves_nothing_acquired(semaphore):
    class EnoughError(Exception):
        pass

    def handle():
        semaphore.release(1)
        raise EnoughError

    with pytest.raises(EnoughError), interrupted_by(handle):
        semaphore.acquire_blocking(1)
    assert semaphore.value(1) == 1


def test_a_key_names_the_set_and_its_first_values_are_set_once(key):
    with pytest.raises(FileNotFoundError, match="create=True"):
        SysvSemaphore(key)
    first = SysvSemaphore(key, (2, 0), create=True)
    assert first.try_acquire()
    second = SysvSemaphore(key, (2, 0), create=True)
    assert (second.id, second.values()) == (first.id, [1, 0])
    assert SysvSemaphore.attach(first.id).values() == [1, 0]
    with pytest.raises(FileExistsError):
        SysvSemaphore(key, create=True, exclusive=True)
    first.remove()


def test_a_set_smaller_than_asked_for_is_refused(key):
    first = SysvSemaphore(key, (1,), create=True)
    try:
        with pytest.raises(OSError, match="fewer than 2 semaphores"):
            SysvSemaphore(key, (1, 1))
    finally:
        first.remove()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda it: it.try_acquire(3), "has 3 semaphores"),
        (lambda it: it.try_acquire(-1), "counted from 0"),
        (lambda it: it.try_acquire(0, 0), "1 to 32767"),
        (lambda it: it.release(0, 32768), "1 to 32767"),
        (lambda it: it.try_change([]), "no change was asked for"),
        (lambda it: it.try_change([(0, 40000)]), "32767 either way"),
        (lambda it: it.try_change([(0, 1)] * 501), "at most 500"),
        (lambda it: it.value(3), "counted from 0"),
        (lambda it: it.set_value(-1), "0 to 32767"),
        (lambda it: it._operation([]), "no change was asked for"),
        (lambda it: SysvSemaphore(values=()), "one from 0 on"),
        (lambda it: SysvSemaphore(values=(1, -1)), "one from 0 on"),
        (lambda it: SysvSemaphore(values=(40000,)), "32767"),
        (lambda it: SysvSemaphore(0), "32 bits"),
    ],
)
def test_bad_input_changes_nothing(semaphore, call, message):
    with pytest.raises(ValueError, match=message):
        call(semaphore)
    assert semaphore.values() == [1, 0, 5]


@pytest.mark.parametrize("changes", [5, [5], [(0,)], [("a", 1)], [(0, "a")]])
async def test_what_are_no_changes(semaphore, changes):
    for change in (semaphore.try_change, semaphore.change_blocking, semaphore._operation):
        with pytest.raises((TypeError, ValueError)):
            change(changes)
    with pytest.raises((TypeError, ValueError)):
        await semaphore.change(changes)


def test_a_value_has_a_most(semaphore):
    with pytest.raises(OverflowError, match="at most 32767"):
        semaphore.release(0, 32767)
    semaphore.set_value(7, 1)
    assert semaphore.values() == [1, 7, 5]


async def test_a_removed_set_says_that_it_is_gone(semaphore):
    semaphore.remove()
    for call in (semaphore.try_acquire, semaphore.values, semaphore.remove, semaphore.release):
        with pytest.raises(OSError, match="is gone: it was removed"):
            call()
    with pytest.raises(OSError, match="is gone"):
        await semaphore.acquire()


async def test_a_closed_set_says_that_it_is(semaphore):
    semaphore.close()
    for call in (semaphore.try_acquire, semaphore.values, semaphore.release):
        with pytest.raises(OSError, match="was closed here"):
            call()
    with pytest.raises(OSError, match="was closed here"):
        await semaphore.acquire()
