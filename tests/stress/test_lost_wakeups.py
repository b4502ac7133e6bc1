"""No wake-up is lost, and nothing polls: seeded tries of every order of wait, release and cancel.

Each try has to be answered before the next begins, so that a lost wake-up is a stop and not made
good by a later one. ZCLOOP_WAKEUPS says how many tries: 20,000, and a million by `make stress`.
"""

from __future__ import annotations

import asyncio
import mmap
import multiprocessing
import os
import random
import threading
import time

import pytest
from waits import child

from zcloop import sync
from zcloop._native.sync.posix_semaphore import PosixSemaphore

pytestmark = [pytest.mark.zcloop_only, pytest.mark.seconds(1800)]

TRIES = int(os.environ.get("ZCLOOP_WAKEUPS", "20000"))
TOKENS = 100_000
BURST_MAX = 64
STUCK_SECONDS = 20
IDLE_SECONDS = 0.5


def run(loop_factory, main):
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


def spin(source):
    """Wait for a random moment, so that what follows meets the other side anywhere on its way."""
    for _ in range(source.choice((0, 0, 10, 100, 400))):
        pass


def meet(source, words):
    """Wait mostly until the other side is counted as waiting, which is just before it sleeps."""
    if source.random() < 0.7:
        give_up = time.monotonic() + STUCK_SECONDS
        while not words.waiting:
            assert time.monotonic() < give_up, "the other side does not come"
            os.sched_yield()
    spin(source)


@pytest.mark.parametrize("kind", ["Semaphore", "BoundedSemaphore"])
async def test_stock_python_posts_what_is_awaited(kind):
    tries = TRIES // 2
    posted = getattr(multiprocessing, kind)(1)
    posted.acquire()
    answered = multiprocessing.Semaphore(0)

    words = PosixSemaphore()
    words._adopt(posted._semlock)

    def post():
        source = random.Random(1)
        for _ in range(tries):
            meet(source, words)
            posted.release()
            assert answered.acquire(True, STUCK_SECONDS), "a wake-up was lost"

    waits = 0
    with child(post):
        source = random.Random(2)
        for _ in range(tries):
            waits += posted._semlock._is_zero()
            await sync.acquire(posted)
            spin(source)
            answered.release()
    print(f"{kind}: {tries} tries, of which {waits} found nothing at first")
    assert waits > tries // 200  # how many depends on what else the machine does


def test_two_processes_exchange_tokens(loop_factory):
    memory = mmap.mmap(-1, 4096)
    there = sync.Semaphore(0, buffer=memory)
    back = sync.Semaphore(0, buffer=memory, offset=64)

    async def give():
        source = random.Random(3)
        left = TOKENS
        while left:
            burst = min(left, source.randint(1, BURST_MAX))
            there.release(burst)
            async with asyncio.timeout(STUCK_SECONDS):
                for _ in range(burst):
                    await back.acquire()
            left -= burst

    async def answer():
        for _ in range(TOKENS):
            await there.acquire()
            back.release()

    with child(lambda: run(loop_factory, give())):
        run(loop_factory, answer())
    assert (there.value, there.waiting, back.value, back.waiting) == (0, 0, 0, 0)


def test_cancelled_waits_lose_neither_tokens_nor_wake_ups(loop_factory):
    memory = mmap.mmap(-1, 4096)
    there = sync.Semaphore(0, buffer=memory)
    back = sync.Semaphore(0, buffer=memory, offset=64)

    def give():
        source = random.Random(4)
        left = TRIES
        while left:
            burst = min(left, source.randint(1, 4))
            meet(source, there)
            there.release(burst)
            for _ in range(burst):
                assert back.acquire_blocking(STUCK_SECONDS), f"a wake-up was lost: {there!r}"
            left -= burst

    async def take(count):
        nonlocal waits
        for _ in range(count):
            waits += there.value == 0
            await there.acquire()
            back.release()

    async def be_cancelled(source, takers):
        """Wait and let go. If it has a token by then, it passes that on."""
        while not takers.done():
            waits = asyncio.create_task(there.acquire())
            for _ in range(source.randrange(4)):
                await asyncio.sleep(0)
            waits.cancel()
            try:
                await waits
            except asyncio.CancelledError:
                await asyncio.sleep(source.choice((0, 0, 0.0001)))
            else:
                there.release()

    async def answer():
        takers = asyncio.gather(*(take(TRIES // 4) for _ in range(4)))
        await asyncio.gather(*(be_cancelled(random.Random(seed), takers) for seed in range(5, 8)))
        await takers

    waits = 0
    with child(give):
        run(loop_factory, answer())
    print(f"{TRIES} tries, of which {waits} found nothing at first")
    assert waits > TRIES // 200  # how many depends on what else the machine does
    assert (there.value, there.waiting) == (0, 0)


def test_processes_and_threads_exclude_each_other(loop_factory):
    memory = mmap.mmap(-1, 4096)
    mutex = sync.Mutex(buffer=memory)
    tries = TRIES // 20
    count = memoryview(memory)[1024:1032].cast("Q")

    def add_in_thread():
        for _ in range(tries):
            assert mutex.acquire_blocking(STUCK_SECONDS), "a wake-up was lost"
            count[0] += 1
            mutex.release()

    async def add():
        for _ in range(tries):
            async with asyncio.timeout(STUCK_SECONDS), mutex:
                seen = count[0]
                await asyncio.sleep(0)
                count[0] = seen + 1

    async def add_by_tasks():
        await asyncio.gather(add(), add())

    with child(lambda: run(loop_factory, add_by_tasks())):
        thread = threading.Thread(target=add_in_thread)
        thread.start()
        run(loop_factory, add_by_tasks())
        thread.join()
    assert count[0] == 5 * tries
    count.release()
    assert (mutex.waiting, mutex.holder_pid) == (0, None)


@pytest.mark.parametrize("kind", ["multiprocessing", "shared"])
def test_a_wait_uses_no_cpu(loop, kind):
    semaphore = multiprocessing.Semaphore(0)
    if kind == "shared":
        semaphore = sync.Semaphore(0, buffer=mmap.mmap(-1, 4096))

    def post():
        time.sleep(IDLE_SECONDS)
        semaphore.release()

    with child(post):
        loop.run_until_complete(asyncio.sleep(0))
        turns = loop.statistics()["turns"]
        cpu, start = time.process_time(), time.monotonic()
        loop.run_until_complete(sync.acquire(semaphore))
        cpu, elapsed = time.process_time() - cpu, time.monotonic() - start
        turns = loop.statistics()["turns"] - turns
    print(f"{kind}: {cpu * 1e3:.2f} ms of CPU and {turns} turns in {elapsed:.3f} s")
    assert elapsed > IDLE_SECONDS * 0.5
    assert turns < 10
    assert cpu < 0.02 * elapsed
