"""Loops that do wrong on purpose, for `test_harness` to see whether it is noticed."""

import asyncio
import os
import signal
import time
from collections.abc import Generator
from typing import Any


class HangingLoop(asyncio.SelectorEventLoop):
    """Never ends a run, and cannot be interrupted by an exception."""

    def run_until_complete(self, future: Any) -> Any:
        while True:
            try:
                time.sleep(3600)
            except BaseException:
                continue


class LingeringLoop(asyncio.SelectorEventLoop):
    """Hangs when it is closed, except the first loop of the process."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        LingeringLoop.made += 1

    def close(self) -> None:
        if LingeringLoop.made > 1:
            time.sleep(3600)
        super().close()


class DyingLoop(asyncio.SelectorEventLoop):
    """Takes the process with it."""

    def run_until_complete(self, future: Any) -> Any:
        os.kill(os.getpid(), signal.SIGSEGV)


class LeakingLoop(asyncio.SelectorEventLoop):
    """Leaves a pipe open, except the first loop of the process."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        LeakingLoop.made += 1
        if LeakingLoop.made > 1:
            self.forgotten = os.pipe()


class MutteringLoop(asyncio.SelectorEventLoop):
    """Raises where the interpreter can only print the exception."""

    def close(self) -> None:
        muttering = _mutter()
        next(muttering)
        super().close()


class RefusingLoop(asyncio.SelectorEventLoop):
    """Cannot make servers."""

    async def create_server(self, *args: Any, **keywords: Any) -> Any:
        raise NotImplementedError


def _mutter() -> Generator[None, None, None]:
    try:
        yield
    finally:
        raise RuntimeError("muttered")
