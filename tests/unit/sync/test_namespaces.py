"""Who cannot be known to be dead is taken for living: holders without /proc, and of other
namespaces, in which a pid is another process's and start times are others."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from waits import dies_holding, kill

from zcloop.sync import Mutex, OwnerDiedError, ReadWriteLock

pytestmark = pytest.mark.zcloop_only

SIZE = 4096
# For longer than it takes to look whether the holder lives, which is done first.
PATIENCE = 0.3

ELSEWHERE = {
    "without /proc": ["-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh"],
    # With a process of its own: before Linux 6.3 only a child is there.
    "in another time namespace": ["-T", "--boottime", "100000", "-f"],
    "in another pid namespace": ["-p", "-f", "--mount-proc"],
    "in another pid namespace with our /proc": ["-p", "-f"],
    "in another pid namespace without /proc": [
        "-p", "-f", "-m", "sh", "-c", 'mount -t tmpfs none /proc && exec "$@"', "sh",
    ],
}  # fmt: skip

HEAD = """
import mmap, os, signal, sys
from zcloop.sync import Mutex, OwnerDiedError, ReadWriteLock
file = open(sys.argv[1], "r+b")
memory = mmap.mmap(file.fileno(), 4096)
def say(what):
    print(what, flush=True)
"""


def refuses(arguments: list[str]) -> str:
    """What unshare says where it may not; nothing where it may."""
    if os.geteuid() != 0:
        return "needs root"
    try:
        done = subprocess.run(
            ["unshare", *arguments, "true"], capture_output=True, text=True, timeout=10
        )
    except FileNotFoundError:
        return "there is no unshare"
    return done.stderr.strip() if done.returncode else ""


@pytest.fixture(autouse=True)
def has_futex_wait() -> None:
    """These tests wait without a ring."""


@pytest.fixture(params=ELSEWHERE.values(), ids=list(ELSEWHERE))
def elsewhere(request: pytest.FixtureRequest) -> list[str]:
    """How a program is started there."""
    why = refuses(request.param)
    if why:
        pytest.skip(f"unshare {' '.join(request.param[:3])}: {why}")
    return ["unshare", *request.param]


@pytest.fixture
def shared(tmp_path) -> Iterator[mmap.mmap]:
    with open(tmp_path / "shared", "w+b") as file:
        file.truncate(SIZE)
        memory = mmap.mmap(file.fileno(), SIZE)
    yield memory
    memory.close()


@pytest.fixture
def start(tmp_path, shared) -> Iterator[Callable]:
    """Start a program elsewhere, which has `memory`, and goes on by each line that it is sent."""
    started = []

    def begin(elsewhere: list[str], source: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [*elsewhere, sys.executable, "-P", "-c", HEAD + source, str(tmp_path / "shared")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        with process:
            process.stdin.close()
        assert process.returncode == 0


HOLDS = """
mutex = Mutex.attach(memory)
assert mutex.acquire_blocking(10)
say("held")
sys.stdin.readline()
mutex.release()
say("released")
"""


def heard(process: subprocess.Popen) -> str:
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_holder_elsewhere_keeps_its_mutex(elsewhere, shared, start):
    mutex = Mutex(buffer=shared)
    holder = start(elsewhere, HOLDS)
    assert heard(holder) == "held"
    assert not mutex.acquire_blocking(PATIENCE)
    go_on(holder)
    assert heard(holder) == "released"
    assert mutex.acquire_blocking(10)
    mutex.release()


def test_who_waits_elsewhere_leaves_the_holder_its_mutex(elsewhere, shared, start):
    mutex = Mutex(buffer=shared)
    assert mutex.try_acquire()
    other = start(elsewhere, f"say(Mutex.attach(memory).acquire_blocking({PATIENCE}))")
    assert heard(other) == "False"
    mutex.release()


def test_a_mutex_that_was_made_elsewhere_is_kept_by_who_holds_it_here(elsewhere, shared, start):
    maker = start(
        elsewhere,
        f"""
mutex = Mutex(buffer=memory)
say("made")
sys.stdin.readline()
say(mutex.acquire_blocking({PATIENCE}))
sys.stdin.readline()
say(mutex.acquire_blocking(10))
""",
    )
    assert heard(maker) == "made"
    mutex = Mutex.attach(shared)
    assert mutex.try_acquire()
    go_on(maker)
    assert heard(maker) == "False"
    mutex.release()
    go_on(maker)
    assert heard(maker) == "True"


def test_two_that_are_elsewhere_exclude_each_other(elsewhere, shared, start):
    mutex = Mutex(buffer=shared)
    holder = start(elsewhere, HOLDS)
    assert heard(holder) == "held"
    other = start(elsewhere, f"say(Mutex.attach(memory).acquire_blocking({PATIENCE}))")
    assert heard(other) == "False"
    go_on(holder)
    assert heard(holder) == "released"
    assert not mutex.locked()


def test_who_reads_elsewhere_keeps_writers_out(elsewhere, shared, start):
    lock = ReadWriteLock(buffer=shared)
    reader = start(
        elsewhere,
        """
lock = ReadWriteLock.attach(memory)
assert lock.reader.acquire_blocking(10)
say("reads")
sys.stdin.readline()
lock.reader.release()
say("released")
""",
    )
    assert heard(reader) == "reads"
    assert not lock.writer.acquire_blocking(PATIENCE)
    assert lock.readers_count == 1
    go_on(reader)
    assert heard(reader) == "released"
    assert lock.writer.acquire_blocking(10)
    lock.writer.release()


def test_only_the_holder_elsewhere_releases(elsewhere, shared, start):
    mutex = Mutex(buffer=shared)
    holder = start(elsewhere, HOLDS)
    assert heard(holder) == "held"
    with pytest.raises(RuntimeError, match="only that one can release it"):
        mutex.release()
    go_on(holder)
    assert heard(holder) == "released"


@pytest.mark.parametrize("where", ["in another time namespace", "in another pid namespace"])
def test_deaths_are_noticed_among_those_of_one_place(where, shared, start):
    """Their own namespaces are as good as any."""
    why = refuses(ELSEWHERE[where])
    if why:
        pytest.skip(why)
    process = start(
        ["unshare", *ELSEWHERE[where]],
        """
mutex = Mutex(buffer=memory)
pid = os.fork()
if pid == 0:
    mutex.acquire_blocking()
    say("held")
    signal.pause()
sys.stdin.readline()
say(mutex.acquire_blocking(0.3))
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
try:
    mutex.acquire_blocking(10)
except OwnerDiedError:
    say("died")
""",
    )
    assert heard(process) == "held"
    go_on(process)
    assert [heard(process), heard(process)] == ["False", "died"]


def test_a_death_here_is_noticed_after_somebody_elsewhere_has_held_it(elsewhere, shared, start):
    mutex = Mutex(buffer=shared)
    holder = start(elsewhere, HOLDS)
    assert heard(holder) == "held"
    go_on(holder)
    assert heard(holder) == "released"
    kill(dies_holding(mutex))
    with pytest.raises(OwnerDiedError):
        mutex.acquire_blocking(10)
    mutex.release()
