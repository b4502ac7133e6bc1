"""The window of a program that measures itself, in its loop and by its own CPU clock."""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from bench.loops import free_large_block, new_loop

WARM_UP_SECONDS = 0.2


class WrongAnswerError(Exception):
    """Raised when something came that was not due."""


async def pass_by(seconds: float, failed: asyncio.Future[None]) -> None:
    """Wait. If something fails meanwhile, its exception is raised here."""
    await asyncio.wait({failed}, timeout=seconds)
    if failed.done():
        failed.result()


async def window(
    seconds: float, operations: Callable[[], int], failed: asyncio.Future[None]
) -> dict[str, float]:
    """Let the time pass, and say what happened in it."""
    before = operations()
    cpu, start = time.process_time(), time.perf_counter()
    await pass_by(seconds, failed)
    cpu, elapsed = time.process_time() - cpu, time.perf_counter() - start
    return {"ops": operations() - before, "seconds": elapsed, "cpu_seconds": cpu}


def make_parser(doc: str | None, kinds: Iterable[str]) -> argparse.ArgumentParser:
    """Make the options that every program has that measures itself."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--loop", default="asyncio:new_event_loop")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--fresh", action="store_true", help="keep glibc's mmap threshold as is")
    return parser


def run(
    program: Callable[[argparse.Namespace], Coroutine[Any, Any, dict[str, float]]],
    arguments: argparse.Namespace,
) -> None:
    """Run the program on the loop, and print its figures, or what was wrong, as JSON."""
    if not arguments.fresh:
        free_large_block()
    loop = new_loop(arguments.loop)
    try:
        report: dict[str, Any] = loop.run_until_complete(program(arguments))
    except (WrongAnswerError, OSError, NotImplementedError) as error:
        report = {"errors": 1, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps(report), flush=True)
