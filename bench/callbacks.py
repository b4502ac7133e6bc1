"""Time of one operation inside a loop, no network: `python -m bench.callbacks NAME --loop M:F`.

Each benchmark runs a batch of operations to its end; batches are repeated until the time is up.
Prints JSON with the operations, the elapsed time and the CPU time of the process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import queue
import socket
import threading
import time
from collections.abc import Awaitable, Callable

from bench.loops import free_large_block, new_loop

Loop = asyncio.AbstractEventLoop
Batch = Callable[[Loop, int], Awaitable[None]]
TURN = 100  # operations in a turn, where a batch takes many turns


def nothing() -> None:
    """The callback of most benchmarks."""


async def nothing_async() -> None:
    """The coroutine of most benchmarks."""


async def call_soon(loop: Loop, count: int) -> None:
    """Schedule many callbacks, then run them all in one turn."""
    for _ in range(count):
        loop.call_soon(nothing)
    await asyncio.sleep(0)


async def call_soon_chain(loop: Loop, count: int) -> None:
    """Let each callback schedule the next, so that each takes a turn of the loop."""
    done = loop.create_future()

    def link(left: int) -> None:
        if left:
            loop.call_soon(link, left - 1)
        else:
            done.set_result(None)

    link(count)
    await done


async def call_later_cancel(loop: Loop, count: int) -> None:
    """Cancel timers before they fire, as happens to the timeout of every good request."""
    for _ in range(count // TURN):
        for timer in [loop.call_later(10, nothing) for _ in range(TURN)]:
            timer.cancel()
        await asyncio.sleep(0)


async def sleep_zero(loop: Loop, count: int) -> None:
    """Let a task yield, once for each operation."""
    for _ in range(count):
        await asyncio.sleep(0)


async def create_task(loop: Loop, count: int) -> None:
    """Create a task that ends at once, and await it."""
    for _ in range(count // TURN):
        for task in [loop.create_task(nothing_async()) for _ in range(TURN)]:
            await task


async def future_round_trip(loop: Loop, count: int) -> None:
    """Await a future that a callback resolves."""
    for _ in range(count):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future


async def beside(loop: Loop, work: Callable[[], None]) -> None:
    """Run work in another thread and wait for its end without polling."""
    done = loop.create_future()

    def run() -> None:
        work()
        loop.call_soon_threadsafe(done.set_result, None)

    thread = threading.Thread(target=run)
    thread.start()
    await done
    thread.join()


async def threadsafe_round_trip(loop: Loop, count: int) -> None:
    """Let another thread post a callback and sleep until the loop has run it."""
    answers: queue.SimpleQueue[None] = queue.SimpleQueue()

    def work() -> None:
        for _ in range(count):
            loop.call_soon_threadsafe(answers.put, None)
            answers.get()

    await beside(loop, work)


async def threadsafe_burst(loop: Loop, count: int) -> None:
    """Let another thread post callbacks without waiting."""

    def work() -> None:
        for _ in range(count):
            loop.call_soon_threadsafe(nothing)

    await beside(loop, work)


async def executor_round_trip(loop: Loop, count: int) -> None:
    """Run a function that does nothing in the default executor."""
    for _ in range(count):
        await loop.run_in_executor(None, nothing)


async def reader_add_remove(loop: Loop, count: int) -> None:
    """Watch a socket for reading, and stop."""
    left, right = socket.socketpair()
    with left, right:
        for _ in range(count // TURN):
            for _ in range(TURN):
                loop.add_reader(left.fileno(), nothing)
                loop.remove_reader(left.fileno())
            await asyncio.sleep(0)


async def reader_round_trip(loop: Loop, count: int) -> None:
    """Send a byte to itself, and read it in the reader callback."""
    left, right = socket.socketpair()
    done = loop.create_future()
    remaining = count

    def ready() -> None:
        nonlocal remaining
        left.recv(1)
        remaining -= 1
        if remaining:
            right.send(b"x")
        else:
            done.set_result(None)

    with left, right:
        loop.add_reader(left.fileno(), ready)
        right.send(b"x")
        await done
        loop.remove_reader(left.fileno())


# Operations of a batch: 10 to 50 ms of work, against which the start of a batch costs nothing.
BATCHES: dict[str, tuple[Batch, int]] = {
    "call-soon": (call_soon, 20_000),
    "call-soon-chain": (call_soon_chain, 50_000),
    "call-later-cancel": (call_later_cancel, 20_000),
    "sleep-0": (sleep_zero, 20_000),
    "create-task": (create_task, 10_000),
    "future-round-trip": (future_round_trip, 20_000),
    "threadsafe-round-trip": (threadsafe_round_trip, 2_000),
    "threadsafe-burst": (threadsafe_burst, 20_000),
    "executor-round-trip": (executor_round_trip, 1_000),
    "reader-add-remove": (reader_add_remove, 5_000),
    "reader-round-trip": (reader_round_trip, 5_000),
}


def main() -> None:
    """Measure the one benchmark that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=BATCHES)
    parser.add_argument("--loop", default="asyncio:new_event_loop")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--fresh", action="store_true", help="keep glibc's mmap threshold as is")
    arguments = parser.parse_args()
    if not arguments.fresh:
        free_large_block()
    loop = new_loop(arguments.loop)
    batch, count = BATCHES[arguments.name]

    async def warm_up() -> None:
        await batch(loop, count)

    loop.run_until_complete(warm_up())
    operations = 0
    cpu, start = time.process_time(), time.perf_counter()
    while time.perf_counter() - start < arguments.seconds:
        loop.run_until_complete(batch(loop, count))
        operations += count
    cpu, elapsed = time.process_time() - cpu, time.perf_counter() - start
    print(json.dumps({"ops": operations, "seconds": elapsed, "cpu_seconds": cpu}))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


if __name__ == "__main__":
    main()
