"""Run CPython's own asyncio tests with any event loop in place of the selector loop.

    python tests/conformance/run.py                                    # zcloop, all modules
    python tests/conformance/run.py --factory uvloop:new_event_loop    # any other loop
    python tests/conformance/run.py --modules events,streams -k pipe   # a part
    python tests/conformance/run.py --baseline                         # asyncio itself, untouched

The status is 0 if every test that asyncio's selector loop passes is passed by the loop under test
(`harness/verdict.py` has the rules), 1 if not, 2 if nothing could be run.
"""

import argparse
import json
import os
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness import modules
from harness.reports import Order
from harness.verdict import Verdict, judge
from skips import SKIPS

DEFAULT_FACTORY = "zcloop:new_event_loop"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--factory", default=DEFAULT_FACTORY, metavar="MODULE:CALLABLE")
    parser.add_argument("--baseline", action="store_true", help="asyncio's own loop, untouched")
    parser.add_argument("--modules", default="", help="comma-separated, with or without test_")
    parser.add_argument("-k", dest="pattern", help="only tests whose id contains this")
    parser.add_argument("--jobs", type=int, default=2, help="modules at a time")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write every outcome there")
    parser.add_argument("--test-timeout", type=float, default=30.0, metavar="SECONDS")
    parser.add_argument("--module-timeout", type=float, default=300.0, metavar="SECONDS")
    parser.add_argument("--native-streams", action="store_true", help="zcloop's, for asyncio's")
    parser.add_argument("--everything", action="store_true", help="also what the lists leave out")
    parser.add_argument("-v", "--verbose", action="store_true", help="whole tracebacks")
    return parser.parse_args(arguments)


def chosen_modules(wanted: str) -> list[str]:
    """Return the modules of this Python, or those of `--modules` in their order."""
    present = modules.present()
    if not wanted:
        return present
    names = ["test_" + name.strip().removeprefix("test_") for name in wanted.split(",")]
    for name in names:
        if name not in present:
            sys.exit(f"no module {name}; there are: {', '.join(sorted(present))}")
    return names


def order_for(module: str, options: argparse.Namespace) -> Order:
    everything = options.everything or options.baseline
    return Order(
        module=module,
        factory=None if options.baseline else options.factory,
        leave_out=() if everything else tuple(SKIPS),
        internals=everything,
        pattern=options.pattern,
        native_streams=options.native_streams,
        test_timeout_s=options.test_timeout,
        module_timeout_s=options.module_timeout,
    )


def describe(verdict: Verdict, *, verbose: bool) -> str:
    """Make a line for the module, and lines for whatever is not as it should be."""
    report = verdict.report
    counts = Counter(test.outcome for test in report.tests.values())
    figures = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    state = "ok  " if verdict.is_good else "BAD "
    loops = f"{report.loops} loops in {report.tests_with_loops} tests"
    figures = f"{figures or 'no tests'}; {len(report.left_out)} left out; {loops}"
    lines = [f"{state} {report.module}: {figures}; {report.seconds:.1f} s"]
    for name, test in verdict.regressions.items():
        mark = ", passes when repeated" if name in verdict.intermittent else ""
        lines.append(f"     {test.outcome}{mark}: {name}")
        lines += [f"         {line}" for line in _shorten(test.detail, verbose=verbose)]
    for name, outcome in verdict.excused.items():
        if outcome != "skipped":
            lines.append(f"     excused, {outcome} on the selector loop too: {name}")
    for error in verdict.errors:
        first, *rest = _shorten(error, verbose=verbose, lines_max=2)
        lines += [f"     error: {first}", *(f"         {line}" for line in rest)]
    return "\n".join(lines)


def _shorten(text: str, *, verbose: bool, lines_max: int = 1) -> list[str]:
    """Shorten a traceback: its last line says most, and after it the first."""
    lines = text.strip().splitlines()
    if verbose or len(lines) <= lines_max:
        return lines
    return lines[: lines_max - 1] + lines[-1:]


def summarize(verdicts: list[Verdict], subject: str) -> str:
    counts: Counter[str] = Counter()
    for verdict in verdicts:
        counts["passed"] += len(verdict.report.with_outcome("passed"))
        counts["regressions"] += len(verdict.regressions)
        counts["skipped or failing on both"] += len(verdict.excused)
        counts["left out"] += len(verdict.report.left_out)
        counts["errors"] += len(verdict.errors)
        counts["tests made a loop"] += verdict.report.tests_with_loops
    version = ".".join(map(str, sys.version_info[:3]))
    figures = ", ".join(f"{count} {name}" for name, count in counts.items())
    return f"{subject} on Python {version}: {figures}"


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    if not modules.suite_is_installed():
        print("this Python comes without test.test_asyncio (on Debian: libpython3-testsuite)")
        return 2
    orders = [order_for(name, options) for name in chosen_modules(options.modules)]
    verdicts = []
    pool = ThreadPoolExecutor(options.jobs)
    try:
        for verdict in pool.map(judge, orders):
            verdicts.append(verdict)
            print(describe(verdict, verbose=options.verbose), flush=True)
    except KeyboardInterrupt:
        os._exit(130)  # the workers die with this process; waiting for their threads would not
    subject = "asyncio's selector loop" if options.baseline else options.factory
    print(summarize(verdicts, subject))
    if options.json:
        results = {verdict.report.module: verdict.as_json() for verdict in verdicts}
        document = {"python": sys.version, "subject": subject, "modules": results}
        options.json.write_text(json.dumps(document, indent=1))
    return 0 if all(verdict.is_good for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
