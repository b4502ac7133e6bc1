"""One measurement of one loop in one scenario."""

from __future__ import annotations

import contextlib
import functools
import json
import math
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import artefacts, protocols
from bench.loops import Contestant
from bench.processes import (
    Cores,
    MeasurementError,
    NothingCompletedError,
    Server,
    cpu_seconds,
    module_command,
    run_pinned,
    running_server,
)
from bench.sample import Sample
from bench.scenarios import Scenario
from bench.servers import FACTORIES

WARM_UP_SECONDS = 0.2  # before each window
CHECK_SECONDS = 0.3  # in which our client checks every answer, before wrk, which checks none
GRACE_SECONDS = 30.0
STRETCHES = (1, 4, 16)  # of a window: a busy machine may bring no answer in 125 ms
# For these kinds of servers.py, with or without streams, the kind of the servers in C.
FLOOR_KINDS = ("echo", "sink", "source", "udp")
ECHO_KINDS = ("buffered-echo", "streams", "own-streams", "sock")
WRK_SCRIPT = Path(__file__).parent / "wrk.lua"


@dataclass(frozen=True)
class Settings:
    """Settings of all measurements of a run."""

    cores: Cores
    seconds: float = 2.0  # in all, of a loop's windows in one round
    fresh: bool = False
    use_wrk: bool = True
    windows: int = 8

    def windows_of(self, scenario: Scenario) -> int:
        """Return how many windows a round has. It has one where thousands of connections are opened
        first, and for a fresh process, which is not fresh when connections have ended."""
        return 1 if scenario.idle or self.fresh else self.windows

    def window_seconds(self, scenario: Scenario) -> float:
        """Return the seconds of each window."""
        return self.seconds / self.windows_of(scenario)


def _parse_sample(output: subprocess.CompletedProcess[str], **more: Any) -> Sample:
    lines = output.stdout.strip().splitlines()
    if not lines:
        reason = output.stderr.strip().splitlines() or [f"it ended with {output.returncode}"]
        raise MeasurementError(reason[-1])
    report = {**json.loads(lines[-1]), **more}
    if report.pop("errors", 0):
        raise MeasurementError(str(report.get("error", "wrong answers")))
    if not report["ops"]:
        raise NothingCompletedError("not one operation was completed")
    return Sample(**report)


def server_kind(scenario: Scenario, contestant: Contestant) -> str:
    """Return the kind of servers.py with the contestant's protocol, where there is one."""
    kind = f"{contestant.protocol}-{scenario.server}"
    return kind if kind in FACTORIES else scenario.server


def _unix_path(stack: contextlib.ExitStack) -> str:
    directory = tempfile.TemporaryDirectory(prefix="zcloop-bench-")
    return f"{stack.enter_context(directory)}/socket"


def _floor_command(
    scenario: Scenario, contestant: Contestant, stack: contextlib.ExitStack
) -> list[str]:
    kind = "echo" if scenario.server in ECHO_KINDS else scenario.server
    if kind not in FLOOR_KINDS or scenario.transport == "tls":
        raise MeasurementError("no server in C does this")
    command = [artefacts.floor_server(contestant.label), kind, "--size", str(scenario.size)]
    return command + (["--unix", _unix_path(stack)] if scenario.transport == "unix" else [])


@contextlib.contextmanager
def _server(scenario: Scenario, contestant: Contestant, settings: Settings) -> Iterator[Server]:
    with contextlib.ExitStack() as stack:
        if contestant.is_floor:
            command = _floor_command(scenario, contestant, stack)
            yield stack.enter_context(running_server(command, settings.cores.server))
            return
        arguments = [server_kind(scenario, contestant), "--loop", contestant.factory]
        arguments += ["--size", str(scenario.size), "--depth", str(scenario.depth)]
        if settings.fresh:
            arguments.append("--fresh")
        if scenario.segmented:
            arguments.append("--segmented")
        if scenario.transport == "unix":
            arguments += ["--unix", _unix_path(stack)]
        if scenario.transport == "tls":
            arguments += ["--certificate", artefacts.certificate()]
        if scenario.server == "proxy":
            command = [artefacts.client(), "backend"]
            backend = stack.enter_context(running_server(command, settings.cores.client))
            arguments += ["--backend", backend.place]
        command = module_command(contestant.python, "bench.servers", *arguments)
        yield stack.enter_context(running_server(command, settings.cores.server))


def drive_client(
    scenario: Scenario, server: Server, core: int, seconds: float, warm_up: float, body: bytes
) -> Sample:
    """Drive a server with the C client, which checks every byte of every answer."""
    command = [artefacts.client(), scenario.client, *server.client_arguments]
    command += ["--connections", str(scenario.connections), "--size", str(scenario.size)]
    command += ["--depth", str(scenario.depth), "--pid", str(server.pid)]
    command += ["--seconds", str(seconds), "--warmup", str(warm_up)]
    if scenario.client == "http":
        command += ["--body", artefacts.body_file(body)]
    if scenario.transport == "tls":
        command.append("--tls")
    if scenario.segmented:
        command.append("--segmented")
    if scenario.idle:
        command += ["--idle", str(scenario.idle)]
    return _parse_sample(run_pinned(command, core, seconds + warm_up + GRACE_SECONDS))


def drive_wrk(connections: int, server: Server, core: int, seconds: float) -> Sample:
    """Drive an HTTP server with wrk; the CPU time includes that of its connections' start."""
    duration = max(1, math.ceil(seconds))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{duration}s", "-s", str(WRK_SCRIPT)]
    before = cpu_seconds(server.pid)
    output = run_pinned([*command, f"http://{server.place}/"], core, duration + GRACE_SECONDS)
    return _parse_sample(output, cpu_seconds=cpu_seconds(server.pid) - before)


def answered(window: Callable[[float], Sample]) -> Sample:
    """Measure a window, and longer ones until something completes in one. `window` is told how many
    times as long as usual it is.

    Raises NothingCompletedError if nothing completes in the longest.
    """
    for stretch in STRETCHES[:-1]:
        with contextlib.suppress(NothingCompletedError):
            return window(stretch)
    return window(STRETCHES[-1])


def _measure_itself(
    scenario: Scenario, contestant: Contestant, settings: Settings, stretch: float
) -> Sample:
    """Measure a program that needs no load, or makes it: a client, callbacks, children."""
    if contestant.is_floor:
        raise MeasurementError("no server in C does this")
    cores, seconds = settings.cores, settings.window_seconds(scenario) * stretch
    arguments = [scenario.server, "--loop", contestant.factory, "--seconds", str(seconds)]
    if settings.fresh:
        arguments.append("--fresh")
    with contextlib.ExitStack() as stack:
        if scenario.module == "clients":
            command = [artefacts.client(), "backend", *(["once"] * (scenario.server == "churn"))]
            backend = stack.enter_context(running_server(command, cores.client))
            arguments += [*backend.client_arguments, "--connections", str(scenario.connections)]
            arguments += ["--size", str(scenario.size)]
        elif scenario.module == "children":
            arguments += ["--writer", artefacts.client(), "--core", str(cores.client)]
            arguments += ["--size", str(scenario.size)]
        command = module_command(contestant.python, f"bench.{scenario.module}", *arguments)
        return _parse_sample(run_pinned(command, cores.server, seconds + GRACE_SECONDS))


@contextlib.contextmanager
def prepared(
    scenario: Scenario, contestant: Contestant, settings: Settings
) -> Iterator[Callable[[], Sample]]:
    """Yield a function that measures one window each time it is called. A server under test is one
    process for all of them.

    The function raises MeasurementError if an answer is wrong; entering raises it if a server does
    not start.
    """
    seconds, core = settings.window_seconds(scenario), settings.cores.client
    if not scenario.is_served:
        itself = functools.partial(_measure_itself, scenario, contestant, settings)
        yield functools.partial(answered, itself)
        return
    with _server(scenario, contestant, settings) as server:
        is_for_wrk = scenario.wrk and settings.use_wrk and shutil.which("wrk")
        body = protocols.HTTP_BODY

        def window(stretch: float) -> Sample:
            if is_for_wrk:
                return drive_wrk(scenario.connections, server, core, seconds * stretch)
            return drive_client(scenario, server, core, seconds * stretch, WARM_UP_SECONDS, body)

        def measure() -> Sample:
            try:
                return answered(window)
            except MeasurementError as error:
                raise server.explained(error) from error

        if is_for_wrk:
            answered(lambda by: drive_client(scenario, server, core, CHECK_SECONDS * by, 0, body))
        yield measure


def count_system_calls(scenario: Scenario, contestant: Contestant, settings: Settings) -> float:
    """Count the system calls of the server for one operation by perf, in a run of its own."""
    if not scenario.is_served or not shutil.which("perf"):
        return math.nan
    with _server(scenario, contestant, settings) as server:
        command = ["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", str(server.pid)]
        counter = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        time.sleep(0.3)  # perf does not say when it has attached
        try:
            sample = drive_client(
                scenario, server, settings.cores.client, settings.seconds, 0, protocols.HTTP_BODY
            )
        finally:
            counter.send_signal(signal.SIGINT)
            _, text = counter.communicate()
        counted = re.search(r"^(\d+),,raw_syscalls:sys_enter", text, re.MULTILINE)
        return int(counted[1]) / sample.ops if counted else math.nan
