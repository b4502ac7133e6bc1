"""Puts the loop under test wherever asyncio would make its selector loop, and counts both.

asyncio names its loop in a handful of places, and every test reaches one of them:

| place                                             | who comes this way                          |
|---------------------------------------------------|---------------------------------------------|
| `asyncio.SelectorEventLoop`, `asyncio.EventLoop`  | `create_event_loop()` and `new_loop()`      |
| the same names in `asyncio.unix_events`           | tests that import the module                |
| `_UnixDefaultEventLoopPolicy._loop_factory`       | `new_event_loop`, `asyncio.run`, `Runner`,  |
|                                                   | `IsolatedAsyncioTestCase`, policies         |

All of them get one stand-in class. Calling it calls the factory; a selector that the caller hands
over is closed, since the loop under test has its own way to wait. `isinstance` and `issubclass`
answer for the factory's class, as tests ask whether the default loop is a `SelectorEventLoop`.

`asyncio.selector_events.BaseSelectorEventLoop` stays as it is, but its construction is counted: a
selector loop made elsewhere than inside the factory is a stray, that is, a test which silently ran
on the standard library's loop.

`test_utils.TestLoop` and bare `BaseEventLoop` objects are props of the tests and stay.
"""

import asyncio
import importlib
import sys
from asyncio import selector_events, unix_events
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_inside_factory: ContextVar[bool] = ContextVar("inside_factory", default=False)


@dataclass
class LoopCount:
    """Counts the loops that the factory made, and selector loops that were made without it."""

    made: int = 0
    strays: int = 0


def resolve(factory: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return the callable that `module:attribute` names."""
    module_name, separator, attribute = factory.partition(":")
    if not separator or not attribute:
        raise ValueError(f"a factory is written module:callable, not {factory!r}")
    found: Any = importlib.import_module(module_name)
    for part in attribute.split("."):
        found = getattr(found, part)
    if not callable(found):
        raise TypeError(f"{factory} is not callable")
    return found  # type: ignore[no-any-return]


class _StandInType(type):
    """Lets the stand-in answer calls and class tests as the loop under test would."""

    factory: Callable[[], asyncio.AbstractEventLoop]
    count: LoopCount
    loop_class: type | None = None

    def __call__(cls, selector: Any = None) -> asyncio.AbstractEventLoop:
        if selector is not None:
            selector.close()
        token = _inside_factory.set(True)
        try:
            loop = cls.factory()
        finally:
            _inside_factory.reset(token)
        cls.count.made += 1
        cls.loop_class = type(loop)
        return loop

    def __instancecheck__(cls, instance: object) -> bool:
        return cls.loop_class is not None and isinstance(instance, cls.loop_class)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return cls.loop_class is not None and issubclass(subclass, cls.loop_class)


def install(factory: Callable[[], asyncio.AbstractEventLoop]) -> LoopCount:
    """Replace asyncio's loop for the rest of this process; before any test module is imported."""
    imported = [name for name in sys.modules if name.startswith("test.test_asyncio.test_")]
    if imported:
        raise RuntimeError(f"{imported[0]} has already taken hold of the standard library's loop")
    count = LoopCount()
    stand_in = _StandInType("LoopUnderTest", (), {})
    stand_in.factory = staticmethod(factory)
    stand_in.count = count
    policy: Any = (
        unix_events._UnixDefaultEventLoopPolicy
    )  # asyncio warns of the public name from 3.14
    policy._loop_factory = stand_in
    for module in (asyncio, unix_events):
        for name in ("SelectorEventLoop", "EventLoop", "_UnixSelectorEventLoop"):
            if hasattr(module, name):
                setattr(module, name, stand_in)
    _count_strays(count)
    return count


def _count_strays(count: LoopCount) -> None:
    initialize = selector_events.BaseSelectorEventLoop.__init__

    def counted(self: Any, *args: Any, **keywords: Any) -> None:
        if not _inside_factory.get():
            count.strays += 1
        initialize(self, *args, **keywords)

    selector_events.BaseSelectorEventLoop.__init__ = counted  # type: ignore[method-assign]
