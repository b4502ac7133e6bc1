"""zcloop.sync.ReadWriteLock: readers together, writers alone and first, and the dead."""

from __future__ import annotations

import asyncio
import os

import pytest
from waits import cancelled, child, dies_holding, kill, until

from zcloop.sync import OwnerDiedError, ReadWriteLock

pytestmark = pytest.mark.zcloop_only


async def settled(*tasks):
    """Long enough that a task which could go on has gone on, by the loop's own turns."""
    for _ in range(20):
        await asyncio.sleep(0)
    return [task.done() for task in tasks]


async def test_readers_are_together_and_a_writer_alone(memory):
    lock = ReadWriteLock(**memory)
    inside = []

    async def read():
        async with lock.reader:
            inside.append("r")
            assert "w" not in inside
            await asyncio.sleep(0)
            inside.remove("r")

    async def write():
        async with lock.writer:
            assert inside == []
            inside.append("w")
            await asyncio.sleep(0)
            inside.remove("w")

    await asyncio.gather(*(write() if number % 3 else read() for number in range(30)))
    async with lock.reader, lock.reader:
        assert lock.readers_count == 2
    assert (lock.readers_count, lock.holder_pid, lock.waiting) == (0, None, 0)


async def test_a_reader_waits_while_a_writer_waits(memory):
    lock = ReadWriteLock(**memory)
    await lock.reader.acquire()
    writer = asyncio.create_task(lock.writer.acquire())
    await until(lambda: lock.holder_pid)
    reader = asyncio.create_task(lock.reader.acquire())
    assert not lock.reader.try_acquire()
    assert await settled(writer, reader) == [False, False]
    lock.reader.release()
    await writer
    assert await settled(reader) == [False]
    lock.writer.release()
    await reader
    lock.reader.release()


async def test_writers_are_not_starved_by_a_stream_of_readers(memory):
    lock = ReadWriteLock(**memory)
    written = 0

    async def read():
        while written < 20:
            async with lock.reader:
                await asyncio.sleep(0)

    async def write():
        nonlocal written
        for _ in range(20):
            async with lock.writer:
                written += 1
            await asyncio.sleep(0)

    await asyncio.gather(*(read() for _ in range(8)), write())


@pytest.mark.parametrize("is_reading", [True, False])
async def test_a_cancelled_writer_lets_the_waiting_in(memory, is_reading):
    lock = ReadWriteLock(**memory)
    side = lock.reader if is_reading else lock.writer
    await side.acquire()
    writer = asyncio.create_task(lock.writer.acquire())
    await until(lambda: lock.holder_pid and lock.waiting)
    reader = asyncio.create_task(lock.reader.acquire())
    await settled()
    await cancelled(writer)
    if not is_reading:
        lock.writer.release()
    await reader
    lock.reader.release()
    if is_reading:
        lock.reader.release()
    await until(lambda: lock.waiting == 0)
    assert lock.writer.try_acquire()
    lock.writer.release()


async def test_releases_that_nobody_made_good_are_refused(memory):
    lock = ReadWriteLock(**memory)
    with pytest.raises(RuntimeError, match="not acquired"):
        lock.writer.release()
    with pytest.raises(RuntimeError, match="not acquired for reading"):
        lock.reader.release()


def test_processes_exclude_each_other(shared):
    lock = ReadWriteLock(buffer=shared, offset=64)

    def look():
        assert not lock.writer.acquire_blocking(0.01)
        assert lock.reader.acquire_blocking(20)
        lock.reader.release()

    assert lock.reader.try_acquire()
    with child(look):
        pass
    lock.reader.release()


async def test_a_dead_writer_is_told_of_and_only_a_writer_comes_in(shared):
    lock = ReadWriteLock(buffer=shared)
    pid = dies_holding(lock.writer)
    reader = asyncio.create_task(lock.reader.acquire())
    await settled()
    kill(pid)
    with pytest.raises(OwnerDiedError):
        await reader
    with pytest.raises(OwnerDiedError):
        async with lock.reader:
            pytest.fail("nothing says that the data is whole")
    assert lock.readers_count == 0
    with pytest.raises(OwnerDiedError):
        await lock.writer.acquire()
    assert lock.holder_pid == os.getpid()
    lock.writer.release()
    async with lock.reader:
        pass


async def test_a_dead_reader_does_not_hold_a_writer_up(shared):
    lock = ReadWriteLock(buffer=shared)
    pid = dies_holding(lock.reader)
    writer = asyncio.create_task(lock.writer.acquire())
    assert await settled(writer) == [False]
    kill(pid)
    await writer
    lock.writer.release()


async def test_a_writer_killed_at_the_door_lets_the_readers_in(shared):
    lock = ReadWriteLock(buffer=shared)
    await lock.reader.acquire()
    pid = os.fork()
    if pid == 0:
        lock.writer.acquire_blocking()
        os._exit(1)
    await until(lambda: lock.holder_pid == pid)
    reader = asyncio.create_task(lock.reader.acquire())
    kill(pid)
    with pytest.raises(OwnerDiedError):
        await reader
    lock.reader.release()
    with pytest.raises(OwnerDiedError):
        await lock.writer.acquire()
    lock.writer.release()


def test_the_places_of_dead_processes_are_used_again(shared):
    lock = ReadWriteLock(buffer=shared)

    def read():
        with pytest.raises(TimeoutError):
            if lock.reader.acquire_blocking(20):
                lock.reader.release()
                raise TimeoutError

    for _ in range(lock.PROCESSES_MAX + 3):
        with child(read):
            pass
    assert lock.readers_count == 0
