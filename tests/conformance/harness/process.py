"""One worker process: its start, its events, its end."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness.reports import ModuleReport, Order, TestReport

CONFORMANCE = Path(__file__).resolve().parents[1]

LOAD_TIMEOUT_S = 60.0  # importing a module on a busy machine takes one or two
GRACE_S = 2.0  # between the worker writing its stacks and its end
POLL_S = 0.25  # a dead worker whose forked child still holds the pipe is noticed this late
LOG_TAIL = 4000  # characters

# How long a process may still take to go, by what its test or its last event came to.
PATIENCE_S = {"finished": 20.0, "crashed": 2.0, "hung": 0.0, "not run": 0.0}


class WorkerProcess:
    """Reads the worker's events, knows which test it is in, and ends it when time is up."""

    def __init__(self, order: Order, only: list[str] | None, scratch: Path) -> None:
        self._order = order
        self._stacks = scratch / "stacks"
        self._log = scratch / "log"
        (scratch / "tests").mkdir()
        request = scratch / "request"
        request.write_text(json.dumps(self._request(only, scratch)))
        self._events, report_fd = os.pipe()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.worker", str(request), str(report_fd)],
                cwd=CONFORMANCE,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[report_fd],
                start_new_session=True,
            )
        os.close(report_fd)
        self._pending = b""
        self.current: str | None = None
        self.last: str | None = None
        self.collected: list[str] | None = None
        self.finished = False

    def _request(self, only: list[str] | None, scratch: Path) -> dict[str, Any]:
        return {
            "module": self._order.module,
            "factory": self._order.factory,
            "only": only,
            "leave_out": self._order.leave_out,
            "internals": self._order.internals,
            "pattern": self._order.pattern,
            "native_streams": self._order.native_streams,
            "test_timeout": self._order.test_timeout_s,
            "scratch": str(scratch / "tests"),
            "stacks": str(self._stacks),
        }

    def follow(self, report: ModuleReport, module_deadline: float) -> str:
        """Take events until the worker has finished, died or run out of time; say which."""
        deadline = min(time.monotonic() + LOAD_TIMEOUT_S, module_deadline)
        with selectors.DefaultSelector() as selector:
            selector.register(self._events, selectors.EVENT_READ)
            while not self.finished:
                if time.monotonic() > deadline:
                    return "hung" if deadline < module_deadline else "not run"
                if not selector.select(POLL_S):
                    if self._process.poll() is not None:
                        return "crashed"
                    continue
                chunk = os.read(self._events, 65536)
                if not chunk:
                    return "crashed"
                if self._take(chunk, report):
                    allowed = self._order.test_timeout_s + GRACE_S
                    deadline = min(time.monotonic() + allowed, module_deadline)
        return "finished"

    def _take(self, chunk: bytes, report: ModuleReport) -> bool:
        *lines, self._pending = (self._pending + chunk).split(b"\n")
        for line in lines:
            event = json.loads(line)
            match event.pop("event"):
                case "collected":
                    self.collected = event["tests"]
                    report.left_out = report.left_out or event["left_out"]
                case "start":
                    self.current = event["id"]
                case "stop":
                    self.current, self.last = None, event.pop("id")
                    report.tests[self.last] = TestReport(**event)
                case "trouble":
                    report.errors.append(event["detail"])
                case "finished":
                    self.finished = True
        return bool(lines)

    def end(self, ending: str) -> int | None:
        """The exit status, or None when the process had to be killed."""
        os.close(self._events)
        try:
            return self._process.wait(PATIENCE_S[ending])
        except subprocess.TimeoutExpired:
            # Not reaped yet, so its process group is still its own.
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return None

    def last_words(self) -> str:
        words = self._stacks.read_text(errors="replace") if self._stacks.exists() else ""
        return words or self._log.read_text(errors="replace")[-LOG_TAIL:]


def _environment() -> dict[str, str]:
    """The worker starts in another directory, so relative entries of the path are made absolute."""
    environment = dict(os.environ)
    if path := environment.get("PYTHONPATH"):
        entries = [os.path.abspath(entry) for entry in path.split(os.pathsep)]
        environment["PYTHONPATH"] = os.pathsep.join(entries)
    return environment
