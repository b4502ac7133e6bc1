"""Loops that do wrong on purpose. `test_harness` checks that the harness notices."""

import asyncio
import os
import signal
import time
from collections.abc import Generator
from typing import Any


class HangingLoop(asyncio.SelectorEventLoop):
    """A loop that never ends a run, and that no exception interrupts."""

    def run_until_complete(self, future: Any) -> Any:
        while True:
            try:
                time.sleep(3600)
            except BaseException:
                continue


class LingeringLoop(asyncio.SelectorEventLoop):
    """A loop that hangs when it is closed, except the first loop of the process."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        LingeringLoop.made += 1

    def close(self) -> None:
        if LingeringLoop.made > 1:
            time.sleep(3600)
        super().close()


class DyingLoop(asyncio.SelectorEventLoop):
    """A loop that ends the process."""

    def run_until_complete(self, future: Any) -> Any:
        os.kill(os.getpid(), signal.SIGSEGV)


class LeakingLoop(asyncio.SelectorEventLoop):
    """A loop that leaves a pipe open, except the first loop of the process."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        LeakingLoop.made += 1
        if LeakingLoop.made > 1:
            self.forgotten = os.pipe()


class MutteringLoop(asyncio.SelectorEventLoop):
    """A loop that raises where the interpreter can only print the exception."""

    def close(self) -> None:
        muttering = _mutter()
        next(muttering)
        super().close()


class RefusingLoop(asyncio.SelectorEventLoop):
    """A loop that cannot make servers."""

    async def create_server(self, *args: Any, **keywords: Any) -> Any:
        raise NotImplementedError


def _mutter() -> Generator[None, None, None]:
    try:
        yield
    finally:
        raise RuntimeError("muttered")
