"""Two processes share a bounded buffer: one fills its slots, the other empties them.

    python examples/shared_semaphore.py
    python examples/shared_semaphore.py --items 100000 --slots 64

Slots and counts are in shared memory, and two semaphores beside them say how many slots are free
and how many are full. The parent waits for them on its event loop, with no thread and no polling;
the child has no loop and blocks. At the end both have added up the same numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import time
from multiprocessing.shared_memory import SharedMemory

import zcloop
from zcloop.sync import Semaphore

FREE, FULL = 0, Semaphore.SIZE
SLOTS = 2 * Semaphore.SIZE
SLOT_BYTES = 8


def produce(name: str, items: int, slots: int) -> None:
    """The child: attaches by the memory's name, and blocks while no slot is free."""
    memory = SharedMemory(name=name)
    free, full = Semaphore.attach(memory.buf, FREE), Semaphore.attach(memory.buf, FULL)
    with memory.buf[SLOTS:].cast("Q") as numbers:
        for item in range(items):
            free.acquire_blocking()
            numbers[item % slots] = item * item
            full.release()
    free.close()
    full.close()
    memory.close()


async def consume(memory: SharedMemory, full: Semaphore, free: Semaphore, items: int) -> int:
    """The parent: a full slot is awaited, as anything else on the loop."""
    total = 0
    slots = free.maximum
    with memory.buf[SLOTS : SLOTS + slots * SLOT_BYTES].cast("Q") as numbers:
        for item in range(items):
            async with asyncio.timeout(10):
                await full.acquire()
            total += numbers[item % slots]
            free.release()
    return total


async def exchange(items: int, slots: int) -> None:
    memory = SharedMemory(create=True, size=SLOTS + slots * SLOT_BYTES)
    free = Semaphore(slots, maximum=slots, buffer=memory.buf, offset=FREE)
    full = Semaphore(0, maximum=slots, buffer=memory.buf, offset=FULL)
    producer = multiprocessing.get_context("spawn").Process(
        target=produce, args=(memory.name, items, slots)
    )
    try:
        producer.start()
        start, cpu = time.perf_counter(), time.process_time()
        total = await consume(memory, full, free, items)
        took, cpu = time.perf_counter() - start, time.process_time() - cpu
        producer.join()
        assert total == sum(item * item for item in range(items)), "an item was lost"
        print(f"{items} items through {slots} slots, all there; {cpu / took:.0%} of a CPU here")
    finally:
        producer.kill()
        producer.join()
        free.close()
        full.close()
        memory.close()
        memory.unlink()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--items", type=int, default=10_000)
    options.add_argument("--slots", type=int, default=16)
    arguments = options.parse_args()
    zcloop.run(exchange(arguments.items, arguments.slots))


if __name__ == "__main__":
    main()
