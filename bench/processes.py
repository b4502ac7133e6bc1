"""Child processes of a measurement: pinned to a core, with their CPU time, dying with us."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LOCK_PATH = "/tmp/zcloop-bench.lock"
READY_SECONDS = 20.0
FILES_WANTED = 32768  # for 10,000 connections and more
ROOT = str(Path(__file__).resolve().parent.parent)
# The source tree goes last in sys.path, so that an installed package is measured, not the source.
MODULE_LAUNCHER = (
    f"import runpy, sys; sys.path.append({ROOT!r}); "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
PR_SET_PDEATHSIG = 1
CPUCLOCK_SCHED = 2

_libc = ctypes.CDLL(None)
_running: set[int] = set()  # pids of our servers, whose CPU time is no noise


class MeasurementError(Exception):
    """Raised when a server did not start, or an answer was wrong: there is no figure."""


class NothingCompletedError(MeasurementError):
    """Raised when no answer came in time, and none was wrong."""


@dataclass(frozen=True)
class Cores:
    """The CPU of the server, and that of the load."""

    server: int
    client: int


def pick_cores() -> Cores:
    """Choose the last two CPUs that this process may use, as the first ones serve interrupts."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(server=allowed[-1], client=allowed[-2 if len(allowed) > 1 else -1])


def _prepare_child(core: int) -> Callable[[], None]:
    def prepare() -> None:
        os.sched_setaffinity(0, {core})
        files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = min(most, FILES_WANTED) if most != resource.RLIM_INFINITY else FILES_WANTED
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(files, wanted), most))
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    return prepare


def module_command(python: str, module: str, *arguments: str) -> list[str]:
    """Make the command that runs a module of this package in any interpreter and directory."""
    return [python, "-P", "-c", MODULE_LAUNCHER, module, *arguments]


def run_pinned(
    command: Sequence[str], core: int, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end on one core."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd="/",
            preexec_fn=_prepare_child(core),
        )
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"{command[0]} did not end in {timeout:.0f} s") from None


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process so far, of all threads, in nanoseconds."""
    return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)  # clock_getcpuclockid(3)


@dataclass(frozen=True)
class Server:
    """A server that is ready: its process, and where it listens."""

    pid: int
    place: str
    ended: Callable[[], str]  # what it said last, once it has ended; "" before

    def explained(self, error: MeasurementError) -> MeasurementError:
        """The error, with the server's reason if that has ended."""
        reason = self.ended()
        return MeasurementError(f"{error}; the server ended: {reason}") if reason else error

    @property
    def client_arguments(self) -> list[str]:
        """How the C client is told to connect."""
        if self.place.startswith("/"):
            return ["--unix", self.place]
        host, _, port = self.place.rpartition(":")
        return ["--host", host, "--port", port]


@contextlib.contextmanager
def running_server(command: Sequence[str], core: int) -> Iterator[Server]:
    """Start a server, wait for its line `listening on PLACE`, and kill it in the end."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd="/",
            preexec_fn=_prepare_child(core),
        ) as process,
    ):

        def said(nothing: str) -> str:
            errors.seek(0)
            return (errors.read().strip().splitlines() or [nothing])[-1]

        def ended() -> str:
            if process.poll() is None:
                return ""
            _running.discard(process.pid)  # which has no clock any more
            return said(f"status {process.returncode}")

        try:
            assert process.stdout is not None
            line = ""
            if select.select([process.stdout], [], [], READY_SECONDS)[0]:
                line = process.stdout.readline().strip()
            if not line.startswith("listening on "):
                process.kill()
                process.wait()
                raise MeasurementError(f"the server did not start: {said(f'it said {line!r}')}")
            _running.add(process.pid)
            server = Server(process.pid, line.removeprefix("listening on "), ended)
            try:
                yield server
            except MeasurementError as error:
                raise server.explained(error) from error
        finally:
            _running.discard(process.pid)
            process.kill()


class Noise:
    """How much CPU other programs used: what a figure taken meanwhile is worth."""

    def __init__(self) -> None:
        self._start = time.perf_counter(), self._foreign_seconds()

    @staticmethod
    def _foreign_seconds() -> float:
        line = Path("/proc/stat").read_text().split("\n", 1)[0]
        user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = map(int, line.split()[1:])
        busy = user + nice + system + irq + softirq + steal
        ours = sum(os.times()[:4]) + sum(map(cpu_seconds, _running))
        return busy / os.sysconf("SC_CLK_TCK") - ours

    def cores(self) -> float:
        """Cores that others kept busy since the start; servers ours then must be now, too."""
        now, foreign = time.perf_counter(), self._foreign_seconds()
        return max(0.0, (foreign - self._start[1]) / (now - self._start[0]))


@functools.cache  # said once, not in each round
def _say_waiting() -> None:
    print("waiting for another measurement to end", file=sys.stderr)


@contextlib.contextmanager
def exclusive() -> Iterator[None]:
    """Hold the lock that keeps two measurements from running at once on one machine."""
    try:
        descriptor = os.open(LOCK_PATH, os.O_RDONLY)
    except FileNotFoundError:
        descriptor = os.open(LOCK_PATH, os.O_RDONLY | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say_waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
