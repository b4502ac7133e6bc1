"""Run the tests of anyio and aiohttp on asyncio's loop and on zcloop, and compare.

    python tests/suites/run.py                                    # both suites (half an hour)
    python tests/suites/run.py --suites anyio -k tls              # a part
    python tests/suites/run.py --factory uvloop:new_event_loop    # any other loop

The tests are those of the source archives on PyPI (`archives.txt`), the packages are the installed
ones (`requirements.txt`). Tests of other backends (trio) and other loops (uvloop) are not run.

What passes on asyncio has to pass on the loop under test. A test that does not is run again on both
loops, with its file once and alone three times. It is a regression if it fails again there and
asyncio does not; otherwise it is called unsteady. `known.py` has the tests that may fail.

The status is 0 if there is no regression and each entry of `known.py` fails, 1 if not, 2 if nothing
could be run.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

from archives import HERE, SUITES, Suite, unpack
from known import KNOWN
from trial import Outcome, Trial, TrialError

BUILD = HERE.parents[1] / "build" / "suites"
ALONE = 3  # times that a test runs alone


@dataclass
class Comparison:
    """What came of a suite's tests on both loops; the lists have ids of tests."""

    suite: Suite
    asyncio: dict[str, Outcome]
    subject: dict[str, Outcome]
    regressions: list[str] = field(default_factory=list)
    unsteady: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.regressions and not self.stale and not self.errors


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--factory", default="zcloop:new_event_loop", metavar="MODULE:CALLABLE")
    parser.add_argument("--suites", default=",".join(SUITES), help="comma-separated")
    parser.add_argument("-k", dest="pattern", help="only tests that pytest's -k chooses by this")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write every outcome there")
    return parser.parse_args(arguments)


def compare(suite: Suite, factory: str, pattern: str | None) -> Comparison:
    """Run the suite on both loops at once, each in a directory of its own."""
    trials = {}
    for loop, made_by in (("asyncio", None), ("subject", factory)):
        place = BUILD / suite.name / loop
        unpack(suite, BUILD / "archives", place / "tests")
        trials[loop] = Trial(suite, made_by, place / "tests", place)
    with ThreadPoolExecutor() as pool:
        runs = {loop: pool.submit(trial.run, (), pattern) for loop, trial in trials.items()}
    comparison = Comparison(suite, runs["asyncio"].result(), runs["subject"].result())
    _look_at_loops(comparison, is_whole=pattern is None)
    for test in _worse(comparison.asyncio, comparison.subject):
        if reason(suite, test):
            comparison.known.append(test)
        elif _is_worse_again(trials, test):
            comparison.regressions.append(test)
        else:
            comparison.unsteady.append(test)
    comparison.stale = [
        test
        for test, outcome in comparison.subject.items()
        if outcome.is_good and reason(suite, test)
    ]
    return comparison


def reason(suite: Suite, test: str) -> str | None:
    """Return why the test may fail, or None if it may not."""
    name = f"{suite.name}:{test}"
    return KNOWN.get(name) or KNOWN.get(name.partition("[")[0])


def _worse(asyncio: dict[str, Outcome], subject: dict[str, Outcome]) -> list[str]:
    lost = Outcome("lost")
    good = (test for test, outcome in asyncio.items() if outcome.is_good)
    return [test for test in good if not subject.get(test, lost).is_good]


def _is_worse_again(trials: dict[str, Trial], test: str) -> bool:
    """Run the test once in its file, for what other tests leave behind, and then alone."""
    for selection in (test.partition("::")[0], *[test] * ALONE):
        asyncio, subject = (trials[loop].run([selection]) for loop in ("asyncio", "subject"))
        if test in _worse(asyncio, subject):
            return True
    return False


def _look_at_loops(comparison: Comparison, *, is_whole: bool) -> None:
    strays = [test for test, outcome in comparison.subject.items() if outcome.strays]
    if strays:
        comparison.errors.append("made a selector loop all the same: " + ", ".join(strays))
    if is_whole and not any(outcome.loops for outcome in comparison.subject.values()):
        comparison.errors.append("no test has made a loop: these ran on asyncio's")


def describe(comparison: Comparison) -> str:
    """Print the numbers of both loops, and below them each test that has to be looked at."""
    suite, lines = comparison.suite, []
    for loop, outcomes in (("asyncio", comparison.asyncio), ("subject", comparison.subject)):
        counts = Counter(outcome.outcome for outcome in outcomes.values())
        figures = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
        loops = sum(outcome.loops for outcome in outcomes.values())
        lines.append(f"{suite.release} on {loop}: {figures}" + (f"; {loops} loops" * (loops > 0)))
    regressions, unsteady = comparison.regressions, comparison.unsteady
    lines.append(f"    {len(regressions)} regressions, {len(comparison.known)} known")
    lines += [_line("regression", test, comparison.subject) for test in regressions]
    lines += [_line("unsteady", test, comparison.subject) for test in unsteady]
    lines += [f"    known: {test}: {reason(suite, test)}" for test in comparison.known]
    lines += [f"    passes, so that known.py need not have it: {test}" for test in comparison.stale]
    lines += [f"    error: {error}" for error in comparison.errors]
    return "\n".join(lines)


def _line(kind: str, test: str, outcomes: dict[str, Outcome]) -> str:
    outcome = outcomes.get(test, Outcome("lost"))
    last = outcome.detail.strip().splitlines()[-1:]
    return "\n        ".join([f"    {kind}, {outcome.outcome}: {test}", *last])


def write(comparisons: Iterable[Comparison], out: Path) -> None:
    """Return every outcome as JSON."""
    document = {comparison.suite.release: asdict(comparison) for comparison in comparisons}
    out.write_text(json.dumps(document, indent=1))


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    comparisons = []
    for name in options.suites.split(","):
        if name not in SUITES:
            print(f"no suite {name}; there are: {', '.join(SUITES)}")
            return 2
        try:
            comparisons.append(compare(SUITES[name], options.factory, options.pattern))
        except TrialError as error:
            print(f"{name}: {error}")
            return 2
        print(describe(comparisons[-1]), flush=True)
    if options.json:
        write(comparisons, options.json)
    return 0 if all(comparison.is_good for comparison in comparisons) else 1


if __name__ == "__main__":
    sys.exit(main())
