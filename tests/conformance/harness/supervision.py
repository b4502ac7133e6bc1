"""Runs one test module in processes of its own until every test has an outcome.

A worker that hangs in one test, or dies in it, costs that test only: the process group is killed,
the test is named, and a new worker takes the tests that are left. So every worker ends at least
one test, and the number of workers is bounded by the number of tests.
"""

import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from harness.process import WorkerProcess
from harness.reports import ModuleReport, Order, TestReport


def run_module(order: Order) -> ModuleReport:
    """Run every selected test of a module, and return its outcome."""
    report = ModuleReport(order.module)
    began = time.monotonic()
    left = None if order.only is None else list(order.only)
    while left is None or left:
        with TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True) as scratch:
            worker = WorkerProcess(order, left, Path(scratch))
            ending = worker.follow(report, began + order.module_timeout_s)
            status = worker.end(ending)
            is_explained = _explain(report, worker, ending, status)
        left = [
            test
            for test in (worker.collected or [] if left is None else left)
            if test not in report.tests
        ]
        if ending in ("finished", "not run") or not is_explained:
            break
    report.tests.update((test, TestReport("not run")) for test in left or ())
    report.seconds = round(time.monotonic() - began, 2)
    return report


def _explain(report: ModuleReport, worker: WorkerProcess, ending: str, status: int | None) -> bool:
    """Blame an early end on the test it happened in or after, or else on the module.

    After, because IsolatedAsyncioTestCase closes its loop when the test has been reported.
    """
    words = f"the worker {_status(status)}\n{worker.last_words()}"
    if ending == "finished":
        if status != 0:
            report.errors.append(f"after the last test {words}")
    elif ending == "not run":
        report.errors.append(f"the module's time was up, {words}")
    elif worker.current is not None:
        report.tests[worker.current] = TestReport(ending, words)
    elif worker.last is not None:
        report.tests[worker.last] = TestReport(ending, f"after the test {words}")
    else:
        report.errors.append(f"before any test ({ending}) {words}")
        return False
    return True


def _status(code: int | None) -> str:
    if code is None:
        return "was killed"
    if code < 0:
        return f"died by {signal.Signals(-code).name}"
    return f"exited with status {code}"
