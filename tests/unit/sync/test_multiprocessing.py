"""zcloop.sync.acquire: Python's own locks and semaphores, and POSIX named ones."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import threading
import uuid

import pytest
from peers import io_passed
from waits import cancelled, child, until

from zcloop import sync
from zcloop._native.sync.posix_semaphore import PosixSemaphore

pytestmark = pytest.mark.zcloop_only


def waiting(lock):
    """How many are counted as waiting for a lock of multiprocessing."""
    words = PosixSemaphore()
    words._adopt(lock._semlock)
    return words.waiting


async def waits_for(lock):
    before = waiting(lock)
    task = asyncio.create_task(sync.acquire(lock))
    await until(lambda: waiting(lock) > before)
    return task


@pytest.fixture(params=["Semaphore", "BoundedSemaphore", "Lock", "RLock"])
def lock(request):
    return getattr(multiprocessing, request.param)()


async def test_a_free_one_is_taken_and_given_back_by_its_own_release(lock):
    await sync.acquire(lock)
    assert not await asyncio.to_thread(lock.acquire, False)
    lock.release()
    assert lock.acquire(False)
    lock.release()


@contextlib.contextmanager
def held_by_another_process(lock):
    """The lock is held by a child until what this yields is called."""
    held, go = os.pipe(), os.pipe()

    def hold():
        with lock:
            os.write(held[1], b"x")
            os.read(go[0], 1)

    with child(hold):
        os.read(held[0], 1)
        yield lambda: os.write(go[1], b"x")
    for fd in (*held, *go):
        os.close(fd)


async def test_it_is_waited_for_while_another_process_has_it(lock):
    with held_by_another_process(lock) as let_go:
        task = await waits_for(lock)
        let_go()
        await task
    assert waiting(lock) == 0
    lock.release()


async def test_a_cancelled_wait_takes_nothing_and_is_not_counted(lock):
    with held_by_another_process(lock) as let_go:
        await cancelled(await waits_for(lock))
        await until(lambda: waiting(lock) == 0)
        with pytest.raises(TimeoutError):
            await sync.acquire(lock, timeout=0.01)
        await until(lambda: waiting(lock) == 0)
        let_go()
    assert lock.acquire(True, 20)
    lock.release()


async def test_a_cancelled_wait_passes_its_wake_up_on_to_stock_python():
    semaphore = multiprocessing.Semaphore(0)
    task = await waits_for(semaphore)
    await io_passed()
    thread = threading.Thread(target=semaphore.acquire)  # would hang for ever
    thread.start()
    await until(lambda: waiting(semaphore) == 2)
    semaphore.release()
    await cancelled(task)
    await asyncio.to_thread(thread.join)
    assert waiting(semaphore) == 0


async def test_the_books_of_an_rlock_are_kept():
    lock = multiprocessing.RLock()
    await sync.acquire(lock)
    await sync.acquire(lock)  # of this thread already
    assert lock._semlock._count() == 2
    assert lock._semlock._is_mine()
    with pytest.raises(AssertionError, match="not owned"):
        await asyncio.to_thread(lock.release)
    lock.release()
    lock.release()
    with pytest.raises(AssertionError):
        lock.release()


async def test_an_rlock_of_this_thread_is_taken_again_though_others_wait():
    lock = multiprocessing.RLock()
    await sync.acquire(lock)
    thread = threading.Thread(target=lambda: lock.acquire() and lock.release())
    thread.start()
    await until(lambda: waiting(lock) == 1)
    await sync.acquire(lock)
    lock.release()
    lock.release()
    await asyncio.to_thread(thread.join)


async def test_a_lock_released_too_often_says_so(lock):
    await sync.acquire(lock)
    lock.release()
    if lock._semlock.maxvalue == 1:
        with pytest.raises((ValueError, AssertionError)):
            lock.release()


@pytest.mark.parametrize("thing", [object(), threading.Lock(), asyncio.Semaphore(), None, 3])
async def test_other_things_are_refused(thing):
    with pytest.raises(TypeError, match="cannot wait for"):
        await sync.acquire(thing)


async def test_things_of_this_module_are_acquired_too():
    mutex = sync.Mutex()
    await sync.acquire(mutex)
    with pytest.raises(TimeoutError):
        await sync.acquire(mutex, timeout=0.01)
    mutex.release()


def test_a_lock_is_kept_while_it_is_waited_for(loop):
    semaphore = multiprocessing.Semaphore(0)
    task = loop.run_until_complete(waits_for(semaphore))
    semlock = semaphore._semlock
    del semaphore
    gc.collect()
    semlock.release()
    loop.run_until_complete(task)


# Named semaphores


@pytest.fixture
def name():
    return f"/zcloop-{uuid.uuid4().hex}"


async def test_a_named_semaphore_is_one_in_every_process(name):
    semaphore = sync.NamedSemaphore(name, 0, create=True, exclusive=True)
    task = asyncio.create_task(semaphore.acquire())
    await until(lambda: semaphore.waiting == 1)
    with child(lambda: sync.NamedSemaphore(name).release()):
        await task
    semaphore.unlink()
    async with asyncio.timeout(20):
        semaphore.release()
        async with semaphore:
            assert semaphore.value == 0
    assert semaphore.acquire_blocking(0)
    semaphore.close()
    with pytest.raises(ValueError, match="closed"):
        semaphore.release()


def test_names_that_are_not_there_or_there_already_are_refused(name):
    with pytest.raises(FileNotFoundError, match=name):
        sync.NamedSemaphore(name)
    semaphore = sync.NamedSemaphore(name, 3, create=True)
    with pytest.raises(FileExistsError):
        sync.NamedSemaphore(name, create=True, exclusive=True)
    assert sync.NamedSemaphore(name).value == 3
    semaphore.unlink()
    with pytest.raises(FileNotFoundError):
        semaphore.unlink()
    for bad in (-1, 1 << 31):
        with pytest.raises(ValueError, match="value"):
            sync.NamedSemaphore(name, bad, create=True)
    with pytest.raises(ValueError, match="null byte"):
        sync.NamedSemaphore("/a\0b")
