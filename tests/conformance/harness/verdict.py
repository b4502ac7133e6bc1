"""Decides what a module's outcomes mean: whatever passes on asyncio's selector loop must pass.

| found                                                         | counts as                    |
|---------------------------------------------------------------|------------------------------|
| passed                                                        | passed                       |
| any other outcome, but passed by the selector loop            | regression                   |
| any other outcome, and the selector loop does no better here  | excused (with its outcome)   |
| trouble outside tests; things left behind; a selector loop    | error                        |
| made behind the factory's back; a module that made no loop    |                              |

Only tests that did not pass are run on the selector loop, so that a good run costs one pass. A
regression that passes when run once more is still one, and is marked intermittent: on a loaded
machine the mark tells where to look first.
"""

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from harness.modules import WITHOUT_LOOPS
from harness.reports import ModuleReport, Order, TestReport
from harness.supervision import run_module


@dataclass
class Verdict:
    report: ModuleReport
    regressions: dict[str, TestReport] = field(default_factory=dict)
    intermittent: list[str] = field(default_factory=list)
    excused: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.regressions and not self.errors

    def as_json(self) -> dict[str, Any]:
        return {
            "good": self.is_good,
            "seconds": self.report.seconds,
            "loops": self.report.loops,
            "regressions": list(self.regressions),
            "intermittent": self.intermittent,
            "excused": self.excused,
            "left_out": self.report.left_out,
            "errors": self.errors,
            "tests": {name: asdict(test) for name, test in self.report.tests.items()},
        }


def judge(order: Order) -> Verdict:
    """Run a module and compare it with the selector loop where it did not pass."""
    report = run_module(order)
    verdict = Verdict(report, errors=list(report.errors))
    if order.factory is None:
        verdict.regressions = {
            name: test
            for name, test in report.tests.items()
            if test.outcome not in ("passed", "skipped")
        }
        return verdict
    verdict.errors += _loop_errors(order, report)
    suspects = [name for name, test in report.tests.items() if test.outcome != "passed"]
    if suspects:
        _compare(verdict, order, suspects)
    return verdict


def _compare(verdict: Verdict, order: Order, suspects: list[str]) -> None:
    """Compare suspects with the selector loop. What has no outcome there stays a regression."""
    baseline = run_module(
        replace(order, factory=None, only=tuple(suspects), internals=True, native_streams=False)
    )
    for name in suspects:
        outcome = baseline.tests[name].outcome
        if outcome in ("passed", "not run"):
            verdict.regressions[name] = verdict.report.tests[name]
        else:
            verdict.excused[name] = outcome
    repeated = [
        name for name, test in verdict.regressions.items() if test.outcome in ("failed", "error")
    ]
    if repeated:
        again = run_module(replace(order, only=tuple(repeated)))
        verdict.intermittent = again.with_outcome("passed")


def _loop_errors(order: Order, report: ModuleReport) -> list[str]:
    errors = []
    strays = [name for name, test in report.tests.items() if test.strays]
    if strays:
        errors.append("made a selector loop behind the factory's back: " + ", ".join(strays))
    whole = report.tests and order.pattern is None and order.only is None
    if whole and report.loops == 0 and order.module not in WITHOUT_LOOPS:
        errors.append(f"{order.factory} was never called: these tests ran on some other loop")
    return errors
