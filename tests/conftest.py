"""Runs the project's own tests on the loop under test, limits their time, and looks for leaks.

ZCLOOP_TEST_LOOP=module:factory names the loop; zcloop:new_event_loop is the default. A test that
is a coroutine function runs on a Runner of that loop; others take `loop`, `run`, `loop_factory`.
`asyncio:SelectorEventLoop` shows whether a test asks for more than asyncio gives.

Time is bounded twice: after the test's seconds (30, or `@pytest.mark.seconds(n)`) SIGALRM raises
in the main thread, and ten seconds later faulthandler prints every stack and ends the test run.

tests/integration, tests/examples and tests/conformance have a harness each of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import functools
import gc
import inspect
import os
import pathlib
import pkgutil
import signal
import sys
from collections.abc import Callable, Iterator

import leaks
import pytest
from features import loopback_keeps_segments, waits_for_futexes
from slowness import SLOWNESS, cpu_clock_is_fine

import zcloop

LOOP_NAME = os.environ.get("ZCLOOP_TEST_LOOP", "zcloop:new_event_loop")
TEST_SECONDS = 30
# Since Python 3.12 fork() warns when there are threads. The children of tests need none of them.
FORK_BESIDE_THREADS = "ignore:This process .* is multi-threaded:DeprecationWarning"
HERE = pathlib.Path(__file__).parent
OURS = ("unit", "fault", "stress", "property")

# Hypothesis imports what is installed and has a plugin for it, as trio; what that warns of when
# pytest has frozen the collector's books would end the run after its last test.
os.environ.setdefault("HYPOTHESIS_NO_PLUGINS", "1")

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


class TooLong(KeyboardInterrupt):
    """What a loop may not swallow, unlike any other exception in a callback."""


def is_ours(item: pytest.Item) -> bool:
    return item.path.is_relative_to(HERE) and item.path.relative_to(HERE).parts[0] in OURS


def pytest_configure(config: pytest.Config) -> None:
    # A shell lets what it starts in the background ignore Ctrl-C. Tests of Ctrl-C need it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "seconds(n): how long this test may take")
    config.addinivalue_line("markers", "zcloop_only: asks for what asyncio does not promise")
    config.addinivalue_line(
        "markers",
        "needs(name, ...): asks for features of the loop, the backend uring, a fine cpu_clock, or"
        " segments_on_loopback",
    )


@functools.cache
def available() -> frozenset[str]:
    """Features of the loops of this run, their backend, and what of the kernel tests need."""
    with contextlib.closing(zcloop.new_event_loop()) as loop:
        found = {name for name, has in loop.features.items() if has} | {loop.backend}
    if cpu_clock_is_fine():
        found.add("cpu_clock")
    if loopback_keeps_segments():
        found.add("segments_on_loopback")
    # A loop learns from the first refusal that the kernel's rings wait for no futexes.
    return frozenset(found if waits_for_futexes() else found - {"futex_wait"})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in filter(is_ours, items):
        item.add_marker(pytest.mark.filterwarnings("error", FORK_BESIDE_THREADS), append=False)
        if not LOOP_NAME.startswith("zcloop") and item.get_closest_marker("zcloop_only"):
            item.add_marker(pytest.mark.skip(reason=f"{LOOP_NAME} does not promise this"))
        for marker in item.iter_markers("needs"):
            for name in set(marker.args) - available():
                item.add_marker(pytest.mark.skip(reason=f"there is no {name} here"))
        if inspect.iscoroutinefunction(getattr(item, "obj", None)):
            item.fixturenames.append("run")


def pytest_collection_finish(session: pytest.Session) -> None:
    # The collection around each test does not look through what pytest itself holds.
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not is_ours(pyfuncitem) or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    pyfuncitem.funcargs["run"](
        pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    )
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    try:
        return (yield)
    except TooLong:
        pytest.fail("the test took too long; the stacks are on stderr")


@pytest.fixture(scope="session")
def last_words(request: pytest.FixtureRequest) -> Iterator[int]:
    """A copy of the real standard error. pytest's capture would swallow a dump after which the
    process exits."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        copy = os.dup(sys.stderr.fileno())
    yield copy
    os.close(copy)


@pytest.fixture(autouse=True)
def time_is_bounded(request: pytest.FixtureRequest) -> Iterator[None]:
    if not is_ours(request.node):
        yield
        return

    def give_up(number, frame) -> None:
        faulthandler.dump_traceback(all_threads=True)
        raise TooLong

    marker = request.node.get_closest_marker("seconds")
    seconds = (marker.args[0] if marker else TEST_SECONDS) * SLOWNESS
    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(
        seconds + 10, exit=True, file=request.getfixturevalue("last_words")
    )
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@pytest.fixture(autouse=True)
def nothing_leaks(request: pytest.FixtureRequest, time_is_bounded: None) -> Iterator[None]:
    """No descriptor, process, thread, loop, operation, slot or lease outlives its test."""
    if not is_ours(request.node):
        yield
        return
    with leaks.guard():
        yield


@pytest.fixture(scope="session")
def backend() -> str:
    """The backend of zcloop's loops in this run: "uring" or "epoll"."""
    return "uring" if "uring" in available() else "epoll"


@pytest.fixture(scope="session")
def loop_name() -> str:
    return LOOP_NAME


@pytest.fixture(scope="session")
def loop_factory() -> LoopFactory:
    return pkgutil.resolve_name(LOOP_NAME)


@pytest.fixture
def reported() -> list[dict]:
    """What the exception handler of `loop` was given. What is left at the end fails the test."""
    return []


@pytest.fixture
def runner(loop_factory: LoopFactory, reported: list[dict]) -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        yield runner
        assert asyncio.all_tasks(loop) == set(), "tasks leaked"
        leaks.check_settled(loop)
    assert reported == [], "the exception handler was called"


@pytest.fixture
def loop(runner: asyncio.Runner) -> asyncio.AbstractEventLoop:
    """The loop of `run`, for tests that run it themselves. It is closed at the end."""
    return runner.get_loop()


@pytest.fixture
def run(runner: asyncio.Runner) -> Callable:
    """Run a coroutine on the loop under test, as asyncio.run does."""
    return runner.run
