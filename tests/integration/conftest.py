"""Runs each test on the loop under test, bounds its time, and fails what it leaked.

ZCLOOP_TEST_LOOP=module:factory names the loop; zcloop:new_event_loop is the default. A test that
is a coroutine function runs on a new loop of that factory; other tests take `loop_factory`, or
`loop_name` for a process of their own.

Time is bounded three times, since a loop that is broken may not run its own timers:

| after            | by              | what happens                                                |
|------------------|-----------------|-------------------------------------------------------------|
| the test's time  | asyncio.wait    | every task's stack is printed, the test is cancelled, fails |
| + 5 seconds      | SIGALRM         | every thread's stack is printed, the test fails             |
| + 10 seconds     | faulthandler    | every thread's stack is printed, the test run ends          |

The test's time is 30 seconds, or what `@pytest.mark.seconds(n)` says.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import inspect
import os
import pathlib
import pkgutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from . import servers
from .certificates import Certificates, make_certificates

LoopFactory = Callable[[], asyncio.AbstractEventLoop]

TEST_SECONDS = 30
THREAD_END_SECONDS = 2
LOOP_NAME = os.environ.get("ZCLOOP_TEST_LOOP", "zcloop:new_event_loop")
HERE = pathlib.Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "seconds(n): how long this test may take")


def pytest_report_header() -> str:
    return f"loop under test: {LOOP_NAME}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        if type(item).__module__.startswith("pytest_asyncio"):
            raise pytest.UsageError("tests/integration runs its coroutines itself: strict mode")
        item.add_marker(pytest.mark.filterwarnings("error"), append=False)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    reported: list[dict] = []
    with asyncio.Runner(loop_factory=pkgutil.resolve_name(LOOP_NAME)) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: reported.append(context))
        runner.run(bounded(pyfuncitem.obj(**arguments), allowed_seconds(pyfuncitem)))
    assert not reported, f"the loop's exception handler was called: {reported}"
    return True


def allowed_seconds(item: pytest.Item) -> float:
    marker = item.get_closest_marker("seconds")
    return marker.args[0] if marker else TEST_SECONDS


async def bounded(test, seconds: float) -> None:
    task = asyncio.ensure_future(test)
    try:
        done, _ = await asyncio.wait([task], timeout=seconds)
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not done:
        for each in asyncio.all_tasks() - {asyncio.current_task()}:
            each.print_stack(file=sys.stderr)
        task.cancel()
        await asyncio.wait([task], timeout=5)
        raise TimeoutError(f"the test took more than {seconds} seconds; its tasks are on stderr")
    await task


@pytest.fixture(scope="session")
def last_words(request: pytest.FixtureRequest) -> Iterator[int]:
    """A copy of the real standard error: pytest's capture would swallow a dump that exits."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        copy = os.dup(sys.stderr.fileno())
    yield copy
    os.close(copy)


@pytest.fixture(autouse=True)
def time_is_bounded(request: pytest.FixtureRequest, last_words: int) -> Iterator[None]:
    seconds = allowed_seconds(request.node)

    def give_up(number, frame) -> None:
        faulthandler.dump_traceback(all_threads=True)
        raise TimeoutError("the loop did not run its timers; the threads' stacks are on stderr")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds + 5)
    faulthandler.dump_traceback_later(seconds + 10, exit=True, file=last_words)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def open_files() -> dict[int, str]:
    files = {}
    for entry in os.scandir("/proc/self/fd"):
        try:
            files[int(entry.name)] = os.readlink(entry.path)
        except FileNotFoundError:  # the descriptor that lists the directory
            continue
    return files


def children() -> set[int]:
    """Every child of any thread, zombies included."""
    found = set()
    for task in pathlib.Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it just ended
            found.update(map(int, (task / "children").read_text().split()))
    return found


@pytest.fixture(autouse=True)
def nothing_leaks(time_is_bounded: None, loop_factory: LoopFactory) -> Iterator[None]:
    """No descriptor, child process or thread outlives the test that made it.

    Fixtures of a wider scope are set up before this one, so their servers do not count.
    """
    gc.collect()
    files, processes, threads = open_files(), children(), set(threading.enumerate())
    yield
    gc.collect()
    assert dict(open_files().items() - files.items()) == {}, "descriptors leaked"
    assert children() - processes == set(), "child processes leaked"
    added = [thread for thread in threading.enumerate() if thread not in threads]
    for thread in added:
        # One that has done its work may still be ending: asyncio 3.11 waits for each child so.
        thread.join(THREAD_END_SECONDS)
    assert [thread for thread in added if thread.is_alive()] == [], "threads leaked"


@pytest.fixture(scope="session")
def loop_name() -> str:
    return LOOP_NAME


@pytest.fixture(scope="session")
def loop_factory() -> LoopFactory:
    factory = pkgutil.resolve_name(LOOP_NAME)
    # What a first loop makes for the whole process (libuv: a pipe for signals) is no test's leak.
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(asyncio.sleep(0))
    return factory


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def redis_server() -> Iterator[servers.Redis]:
    with servers.redis() as server:
        yield server


@pytest.fixture(scope="session")
def postgres(certificates: Certificates) -> Iterator[servers.Postgres]:
    with servers.postgres(certificates.chain, certificates.key) as cluster:
        yield cluster
