"""A unittest result that reports each test as it starts and stops, and keeps nothing itself."""

import faulthandler
import json
import re
import sys
import time
import unittest
from types import TracebackType
from typing import Any, TextIO

from harness.leftovers import Leftovers
from harness.modules import PACKAGE, short_id
from harness.replacement import LoopCount

Trouble = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Reporter(unittest.TestResult):
    """Writes the events that `worker` documents."""

    def __init__(self, out: TextIO, count: LoopCount, timeout_s: float, stacks: TextIO) -> None:
        super().__init__()
        self.leftovers = Leftovers()
        self._out = out
        self._count = count
        self._timeout_s = timeout_s
        self._stacks = stacks
        self._current: str | None = None
        self._last: str | None = None
        self._outcome, self._detail = "passed", ""
        self._began = 0.0
        self._made_before, self._strays_before = count.made, count.strays
        self._reported: set[str] = set()
        self._fixtures: dict[str, tuple[str, str]] = {}
        sys.unraisablehook = self._note_unraisable

    def send(self, event: str, **fields: Any) -> None:
        print(json.dumps({"event": event, **fields}), file=self._out, flush=True)

    def startTest(self, test: unittest.TestCase) -> None:
        self._current, self._outcome, self._detail = short_id(test), "passed", ""
        self._began = time.monotonic()
        self._expect_progress()
        self.send("start", id=self._current)
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:
        self._expect_progress()
        super().stopTest(test)
        if self._current is None:  # 3.12.1 stops a test of a skipped class without starting it
            return
        seconds = round(time.monotonic() - self._began, 3)
        self._send_stop(self._current, self._outcome, self._detail, seconds)
        self.leftovers.look(self._current)
        self._last, self._current = self._current, None

    def _expect_progress(self) -> None:
        """Watch the time after a test as well, since a loop may hang in its close."""
        faulthandler.dump_traceback_later(self._timeout_s, file=self._stacks)

    def _send_stop(self, test_id: str, outcome: str, detail: str, seconds: float = 0.0) -> None:
        self.send(
            "stop",
            id=test_id,
            outcome=outcome,
            detail=detail,
            loops=self._count.made - self._made_before,
            strays=self._count.strays - self._strays_before,
            seconds=seconds,
        )
        self._made_before, self._strays_before = self._count.made, self._count.strays
        self._reported.add(test_id)

    def _mark(self, outcome: str, detail: str) -> None:
        """Keep the first trouble of a test: what follows is usually its consequence."""
        if self._outcome == "passed":
            self._outcome = outcome
        self._detail = f"{self._detail}\n{detail}".strip()

    def _note_unraisable(self, unraisable: Any) -> None:
        """Fail the test in which something happened that the interpreter could only print.

        Between two tests it is trouble: IsolatedAsyncioTestCase closes its loop after the test.
        """
        error = f"{type(unraisable.exc_value).__name__}: {unraisable.exc_value}"
        detail = f"{unraisable.err_msg or 'Exception ignored'}: {error}"
        if self._current is None:
            self.send("trouble", detail=f"after {self._last or 'no test'}: {detail}")
        else:
            self._mark("failed", detail)
        sys.__unraisablehook__(unraisable)

    def _format(self, err: Trouble, test: unittest.TestCase) -> str:
        return str(self._exc_info_to_string(err, test))  # type: ignore[attr-defined]

    def addError(self, test: unittest.TestCase, err: Trouble) -> None:
        if isinstance(test, unittest.TestCase):
            self._mark("error", self._format(err, test))
        else:
            self._note_fixture(test, "error", self._format(err, test))

    def addFailure(self, test: unittest.TestCase, err: Trouble) -> None:
        self._mark("failed", self._format(err, test))

    def addSubTest(
        self, test: unittest.TestCase, subtest: unittest.TestCase, err: Trouble | None
    ) -> None:
        if err is not None:
            self._mark("failed", f"{subtest}\n{self._format(err, test)}")

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        if not isinstance(test, unittest.TestCase):
            self._note_fixture(test, "skipped", reason)
        elif self._current is None:  # 3.12.1, see stopTest
            self._send_stop(short_id(test), "skipped", reason)
        else:
            self._mark("skipped", reason)

    def addExpectedFailure(self, test: unittest.TestCase, err: Trouble) -> None:
        """Count an expected failure as a pass: the loop does as asyncio does."""

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        self._mark("failed", "unexpected success")

    def _note_fixture(self, holder: Any, outcome: str, detail: str) -> None:
        """`setUpClass (package.module.Class)` did not let its tests run, or its undoing failed."""
        named = re.search(r"\((.+)\)$", holder.id())
        owner = named[1].removeprefix(f"{PACKAGE}.") if named else ""
        self._fixtures[owner] = (outcome, detail)
        if outcome != "skipped":
            self.send("trouble", detail=f"{holder.id()}: {detail}")

    def report_unstarted(self, tests: list[str]) -> None:
        """Tests whose fixture kept them from running have that fixture's outcome."""
        for test_id in tests:
            owners = [owner for owner in self._fixtures if test_id.startswith(f"{owner}.")]
            if owners and test_id not in self._reported:
                self._send_stop(test_id, *self._fixtures[owners[0]])
