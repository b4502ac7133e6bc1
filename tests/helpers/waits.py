"""Waiting for a condition, and for tasks that wait for a semaphore or a lock; nothing sleeps."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from slowness import SLOWNESS

SECONDS_MAX = 10 * SLOWNESS


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds, and other processes on this processor, too."""
    end = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < end, "the loop ran, and it did not come to be"
        os.sched_yield()
        await asyncio.sleep(0)


def block_until(condition: Callable[[], object]) -> None:
    """Hold this thread until the condition holds, for where no loop runs."""
    end = time.monotonic() + SECONDS_MAX
    while not condition():
        assert time.monotonic() < end, "it did not come to be"
        os.sched_yield()


async def waiting(thing: Any, waits: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start a task; return it when `thing` counts it as a waiter."""
    before = thing.waiting
    task = asyncio.create_task(waits)
    await until(lambda: thing.waiting > before or task.done())
    return task


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()


@contextlib.asynccontextmanager
async def waiters(
    thing: Any, acquire: Callable[[], Coroutine[Any, Any, Any]], count: int
) -> AsyncIterator[list[asyncio.Task[Any]]]:
    """Start `count` tasks that wait, one after the other. They are cancelled at the end."""
    tasks = [await waiting(thing, acquire()) for _ in range(count)]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def child(run: Callable[[], object]) -> Iterator[int]:
    """Fork a process that runs this function and must succeed; yield its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            run()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    try:
        yield pid
    finally:
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def dies_holding(thing: Any) -> int:
    """Fork a process that acquires a mutex, or a side of a lock, and waits to be killed; return
    its pid."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        thing.acquire_blocking()
        os.write(writer, b"x")
        signal.pause()
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
