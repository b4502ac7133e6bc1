"""Gives the loop under test to three test classes that make do with half a loop.

`test_base_events.BaseEventLoopTests`, `test_pep492.BaseTest` and `test_runners.BaseTest` build a
bare `BaseEventLoop` and mock away what it lacks (selector, event processing, waking). Most of what
they then check is the contract of every loop: exception handlers, task factories, thread checks,
async generators, `asyncio.run` and its Ctrl-C. With a whole loop in the prop's place these tests
hold for the loop under test as well.

A test of the first two whose own source touches other private attributes of its loop than the
ones that `_Unmocked` answers (`_ready`, `_scheduled`, `_selector`, ...) is about the base class and
keeps the prop. The rule reads the source, so nothing need be listed per test and version.

Also, `test_utils.TestCase.close_loop` looks into `_default_executor`, which no loop promises to
have; for one that has not, its public counterpart is called.
"""

import asyncio
import inspect
import re
import unittest
from collections.abc import Callable
from types import ModuleType
from typing import Any

from test.test_asyncio import utils as test_utils  # type: ignore[import-not-found]

# What tests mock because their prop cannot wait. A real loop can, and would lose its waking.
_MOCKED_AWAY = frozenset({"_process_events", "_write_to_self"})
_INTERNALS = re.compile(r"loop\._(?!process_events = |write_to_self = |run_once\(\))")


class _Unmocked:
    """Mixed into the class of one loop, by way of assigning `__class__`."""

    def __setattr__(self, name: str, value: object) -> None:
        if name not in _MOCKED_AWAY:
            super().__setattr__(name, value)

    def _run_once(self) -> None:
        """One turn by public means, unless it is the loop itself that asks for its next turn."""
        loop: Any = super()
        if loop.is_running():
            loop._run_once()
        else:
            loop.call_soon(loop.stop)
            loop.run_forever()


def _make_loop() -> Any:
    loop: Any = asyncio.SelectorEventLoop()  # the stand-in
    whole = type(loop)
    loop.__class__ = type(whole.__name__, (_Unmocked, whole), {})
    return loop


def swap(module: ModuleType) -> None:
    """Change the classes of a freshly imported test module; the loop must be replaced already."""
    _mend_close_loop()
    match module.__name__.rpartition(".")[2]:
        case "test_base_events":
            _swap_set_up(module.BaseEventLoopTests)
        case "test_pep492":
            _swap_set_up(module.BaseTest)
        case "test_runners":
            module.BaseTest.new_loop = _new_loop


def _mend_close_loop() -> None:
    close_with_executor = test_utils.TestCase.close_loop

    def close_loop(loop: Any) -> None:
        if hasattr(loop, "_default_executor"):
            close_with_executor(loop)
            return
        if not loop.is_closed():
            loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    test_utils.TestCase.close_loop = staticmethod(close_loop)


def _swap_set_up(owner: Any) -> None:
    set_up_prop: Callable[[Any], None] = owner.setUp

    def set_up(self: Any) -> None:
        if _touches_internals(self):
            set_up_prop(self)
            return
        super(owner, self).setUp()
        self.loop = _make_loop()
        self.set_event_loop(self.loop)

    owner.setUp = set_up


def _touches_internals(test: unittest.TestCase) -> bool:
    source = inspect.getsource(getattr(test, test._testMethodName))
    return _INTERNALS.search(source) is not None


def _new_loop(test: unittest.TestCase) -> Any:
    """`BaseTest.new_loop` of `test_runners`; its `tearDown` asks for `shutdown_ag_run`."""
    loop = _make_loop()
    loop.shutdown_ag_run = False
    shutdown_asyncgens = loop.shutdown_asyncgens

    async def note_shutdown() -> None:
        await shutdown_asyncgens()
        loop.shutdown_ag_run = True

    loop.shutdown_asyncgens = note_shutdown
    return loop
