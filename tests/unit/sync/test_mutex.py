"""zcloop.sync.Mutex: one holder, who is a process, and what becomes of it when that dies."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
import threading

import pytest
from waits import cancelled, child, dies_holding, kill, until, waiters, waiting

from zcloop.sync import Mutex, OwnerDiedError

pytestmark = pytest.mark.zcloop_only


async def test_one_holder_at_a_time(memory):
    mutex = Mutex(**memory)
    inside = 0

    async def enter():
        nonlocal inside
        async with mutex:
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(enter() for _ in range(20)))
    assert not mutex.locked()
    assert mutex.waiting == 0


async def test_a_cancelled_waiter_passes_its_turn_on(memory):
    mutex = Mutex(**memory)
    await mutex.acquire()
    async with waiters(mutex, mutex.acquire, 2) as (first, second):
        mutex.release()
        await cancelled(first)
        await second
    mutex.release()
    assert mutex.waiting == 0


async def test_try_acquire(memory):
    mutex = Mutex(**memory)
    assert mutex.try_acquire()
    assert not mutex.try_acquire()
    assert mutex.holder_pid == os.getpid()
    mutex.release()
    assert mutex.holder_pid is None


async def test_threads_and_tasks_exclude_each_other(memory):
    mutex = Mutex(**memory)
    count = 0

    def add():
        nonlocal count
        for _ in range(200):
            assert mutex.acquire_blocking(20)
            seen = count
            os.sched_yield()
            count = seen + 1
            mutex.release()

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        async with mutex:
            seen = count
            await asyncio.sleep(0)
            count = seen + 1
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
    assert count == 600


async def test_a_release_of_a_free_mutex_is_refused(memory):
    mutex = Mutex(**memory)
    with pytest.raises(RuntimeError, match="not acquired"):
        mutex.release()


def test_only_the_holding_process_releases(shared):
    mutex = Mutex(buffer=shared)

    def release():
        with pytest.raises(RuntimeError, match=f"held by process {os.getppid()}"):
            mutex.release()

    assert mutex.try_acquire()
    with child(release):
        pass
    mutex.release()


async def test_a_waiter_whose_holder_dies_owns_the_mutex(shared):
    mutex = Mutex(buffer=shared)
    pid = dies_holding(mutex)
    task = await waiting(mutex, mutex.acquire())
    kill(pid)
    with pytest.raises(OwnerDiedError):
        await task
    assert mutex.holder_pid == os.getpid()
    mutex.release()
    async with mutex:
        pass  # it is repaired: nobody hears of it any more


async def test_who_comes_after_the_death_is_told_at_once(shared):
    mutex = Mutex(buffer=shared)
    kill(dies_holding(mutex))
    loop = asyncio.get_running_loop()
    start = loop.time()
    with pytest.raises(OwnerDiedError):
        await mutex.acquire()
    assert loop.time() - start < 0.9
    mutex.release()


async def test_async_with_leaves_a_dead_holders_mutex_as_it_was(shared):
    mutex = Mutex(buffer=shared)
    kill(dies_holding(mutex))
    for _ in range(2):
        with pytest.raises(OwnerDiedError):
            async with mutex:
                pytest.fail("nothing says that the data is whole")
        assert not mutex.locked()
    with pytest.raises(OwnerDiedError):
        mutex.try_acquire()
    mutex.release()


def test_a_blocked_thread_is_told_as_well(shared):
    mutex = Mutex(buffer=shared)
    pid = dies_holding(mutex)
    threading.Timer(0.05, kill, [pid]).start()
    with pytest.raises(OwnerDiedError):
        mutex.acquire_blocking()
    mutex.release()


async def test_a_zombie_is_dead(shared):
    mutex = Mutex(buffer=shared)
    pid = dies_holding(mutex)
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(OwnerDiedError):
        await mutex.acquire()
    os.waitpid(pid, 0)
    mutex.release()


async def test_a_process_that_got_the_dead_holders_pid_is_not_the_holder(shared):
    mutex = Mutex(buffer=shared)
    assert mutex.try_acquire()
    (mine,) = struct.unpack("=Q", shared[8:16])
    shared[8:16] = struct.pack("=Q", mine ^ 1 << 32)  # the same pid, started at another time
    with pytest.raises(OwnerDiedError):
        await mutex.acquire()
    assert struct.unpack("=Q", shared[8:16]) == (mine,)
    mutex.release()


async def test_a_living_holder_is_waited_for(shared):
    """For longer than the interval in which its life is looked at."""
    mutex = Mutex(buffer=shared)
    pid = dies_holding(mutex)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1.2):
            await mutex.acquire()
    assert mutex.holder_pid == pid
    kill(pid)


async def test_an_unused_wake_up_of_a_killed_waiter_is_made_good(shared):
    """Who is killed between being woken and taking: the next look wakes another."""
    mutex = Mutex(buffer=shared)
    await mutex.acquire()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, b"x")
        mutex.acquire_blocking()
        os._exit(0)
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    await until(lambda: mutex.waiting == 1)
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    task = await waiting(mutex, mutex.acquire())
    mutex.release()  # wakes the stopped one
    kill(pid)
    await task
    mutex.release()


def reads_made():
    """System calls that read, of this process until now."""
    with open("/proc/self/io") as counts:
        return int(counts.read().split("syscr: ")[1].split()[0])


@pytest.mark.needs("uring", "futex_wait")
@pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="the kernel counts no calls here")
async def test_to_wait_for_a_private_one_asks_nothing_of_proc():
    """Nobody outside of the process can hold it, so nobody's death has to be found out."""
    mutex = Mutex()
    await mutex.acquire()
    before = reads_made()
    for _ in range(100):
        async with waiters(mutex, mutex.acquire, 1) as (waiter,):
            await cancelled(waiter)
    assert reads_made() - before < 150  # one in each turn, by which the loop was woken
    mutex.release()
