"""Runs tests of a suite on one loop, in processes of their own, and reads what came of each.

A process that dies, or says nothing for long, has failed the test it was in: that test is
`crashed`, and another process goes on with the tests after it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from archives import HERE, Suite

TEST_TIMEOUT_S = 120  # aiohttp's own limit; a loaded machine has needed 25 of anyio's 20
SILENCE_MAX_S = 300.0  # then the test's limit did not end it: native code does not come back
CRASHES_MAX = 20
PYTEST_TOOK_PLACE = (0, 1)  # exit statuses: all passed; some failed
LOG_TAIL = 2000  # characters of a log that are shown


@dataclass
class Outcome:
    """`outcome` is passed, failed, skipped, xfailed or crashed."""

    outcome: str
    detail: str = ""
    loops: int = 0
    strays: int = 0

    @property
    def is_good(self) -> bool:
        return self.outcome in ("passed", "xfailed")


class TrialError(Exception):
    """Raised when pytest could not run the suite."""


@dataclass(frozen=True)
class Trial:
    """A suite on a loop; `factory` is None for asyncio's own."""

    suite: Suite
    factory: str | None
    directory: Path  # where the suite's tests are
    scratch: Path

    def run(self, only: Sequence[str] = (), pattern: str | None = None) -> dict[str, Outcome]:
        """Run all of the suite, or `only` these files and ids."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        file = self.scratch / "outcomes"
        file.write_text("")
        for _ in range(CRASHES_MAX):
            selection = [*only, *(("-k", pattern) if pattern else ())]
            status = self._run_process(file, selection)
            found = _read(file)
            if status in PYTEST_TOOK_PLACE or status == 5:  # 5: nothing was left to run
                return found
            running = [name for name, outcome in found.items() if outcome.outcome == "running"]
            if not running:
                raise TrialError(f"pytest ended with {status}: {self._last_words()}")
            crash = {"id": running[-1], "outcome": "crashed", "detail": self._last_words()}
            with file.open("a") as out:
                out.write(json.dumps({"event": "stop", **crash}) + "\n")
        raise TrialError(f"{CRASHES_MAX} processes ended before their tests did")

    def _run_process(self, file: Path, selection: list[str]) -> int:
        """Run pytest, and return its status; a signal is negative."""
        pytest = [sys.executable, "-P", "-m", "pytest", "-q", "-p", "recorder"]
        plugins = ["-p", "no:cacheprovider", "-p", "no:asyncio", f"--timeout={TEST_TIMEOUT_S}"]
        with (self.scratch / "log").open("wb") as log:
            process = subprocess.Popen(
                [*pytest, *plugins, *self.suite.options, *selection],
                cwd=self.directory,
                env=self._environment(file),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            return _wait(process, file)

    def _environment(self, file: Path) -> dict[str, str]:
        path = [str(HERE), str(HERE.parent / "conformance")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        environment["SUITE_OUTCOMES"] = str(file)
        if self.factory:
            environment["SUITE_FACTORY"] = self.factory
        if file.stat().st_size:
            environment["SUITE_RECORDED"] = "1"
        return environment

    def _last_words(self) -> str:
        return (self.scratch / "log").read_text(errors="replace")[-LOG_TAIL:]


def _wait(process: "subprocess.Popen[bytes]", file: Path) -> int:
    size, heard = -1, time.monotonic()
    while True:
        try:
            return process.wait(1)
        except subprocess.TimeoutExpired:
            now = file.stat().st_size
            if now != size:
                size, heard = now, time.monotonic()
            elif time.monotonic() - heard > SILENCE_MAX_S:
                process.kill()


def _read(file: Path) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    for line in file.read_text().splitlines():
        event = json.loads(line)
        kind, name = event.pop("event"), event.pop("id")
        found[name] = Outcome("running") if kind == "start" else Outcome(**event)
    return found
