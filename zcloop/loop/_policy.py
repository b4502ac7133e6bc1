"""Ways to make zcloop the loop of a program: run, install, EventLoopPolicy."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Coroutine
from typing import Any, TypeVar

from zcloop.loop._loop import Loop, new_event_loop

_Result = TypeVar("_Result")


def run(main: Coroutine[Any, Any, _Result], *, debug: bool | None = None) -> _Result:
    """Run a coroutine on a new zcloop loop and return its result, as asyncio.run does.

    RuntimeError when a loop is running in this thread already. OSError when no loop can be made; it
    says what to do, and `main` is closed, since it will not be run. `debug` is as of asyncio.run.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("zcloop.run() cannot be called from a running event loop")
    runner = asyncio.Runner(debug=debug, loop_factory=new_event_loop)
    try:
        runner.get_loop()
    except BaseException:
        # Without this a warning, "coroutine was never awaited", would follow the error.
        if asyncio.iscoroutine(main):
            main.close()
        raise
    with runner:
        return runner.run(main)


with warnings.catch_warnings():
    # Python 3.14 deprecates policies. The class stays for programs that set one.
    warnings.simplefilter("ignore", DeprecationWarning)
    _DefaultPolicy: Any = asyncio.DefaultEventLoopPolicy


class EventLoopPolicy(_DefaultPolicy):  # type: ignore[misc]
    """An asyncio policy whose loops are zcloop's.

    asyncio deprecates policies since Python 3.14: prefer `zcloop.run` or
    `loop_factory=zcloop.new_event_loop`.
    """

    def _loop_factory(self) -> Loop:
        return new_event_loop()


def install() -> None:
    """Make zcloop's policy that of this process: asyncio.run and new_event_loop then use zcloop.

    asyncio deprecates policies since Python 3.14: prefer `zcloop.run`.
    """
    with warnings.catch_warnings():
        if sys.version_info >= (3, 14):
            warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(EventLoopPolicy())
