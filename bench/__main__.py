"""The command line: `python -m bench [SCENARIO ...] [--loop LOOP] [--against LOOP,...] ...`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
import time
from collections.abc import Callable, Sequence

from bench import artefacts, markdown
from bench.aims import AIMS, ZERO_COPY_AIMS
from bench.contestants import pick_contestants
from bench.loops import Contestant
from bench.measure import Settings, count_system_calls, prepared
from bench.processes import (
    MeasurementError,
    Noise,
    exclusive,
    pick_cores,
)
from bench.results import Report, Result, machine
from bench.sample import Sample, merged
from bench.scenarios import SCENARIOS, Scenario
from bench.selection import GROUPS, select
from bench.table import Table, summary

NOISE_MAX = 0.1  # cores that other programs keep busy; a figure with more is worth little
# For bulk in one direction the same loop takes 12 us per 64 KiB in one process, 24 in the next.
BULK_ROUNDS = 3  # times as many rounds as other rows have
FRESH_SHARE = 3  # for so many rounds one of fresh processes, where these are measured, too
YIELD_SECONDS = 0.05  # between rounds, in which another measurement that waits can begin


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add_choices(parser)
    add_repetition(parser)
    parser.add_argument("--json", metavar="OUT", help="write every sample to this file")
    parser.add_argument(
        "--markdown", metavar="OUT", help="write the tables for a README to this file"
    )
    parser.add_argument("--list", action="store_true", help="show the scenarios and end")
    parsed = parser.parse_args(arguments)
    if parsed.windows < 1 or parsed.rounds < 1:
        parser.error("--windows and --rounds are 1 or more")
    return parsed


def add_choices(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is measured."""
    parser.add_argument(
        "scenarios",
        nargs="*",
        default=["floor"],
        metavar="SCENARIO",
        help="names, groups or patterns; default floor",
    )
    parser.add_argument(
        "--loop",
        default="zcloop",
        metavar="LOOP[/PROTOCOL][@PYTHON]",
        help="the loop in question, a short name or MODULE:FACTORY; with /buffered or /zero-copy "
        "its servers are made of that kind of protocol where it matters",
    )
    parser.add_argument(
        "--against", default="uvloop", metavar="LOOP,...", help="the loops to compare it with"
    )
    parser.add_argument(
        "--aa", action="store_true", help="compare the loop with itself: what is noise here"
    )
    parser.add_argument(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="interpreter of all loops that name none of their own",
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="servers that never freed a large block (see README.md)",
    )
    parser.add_argument(
        "--with-fresh",
        action="store_true",
        help="each scenario once more, with such servers of the loop and the first peer",
    )
    parser.add_argument("--no-wrk", action="store_true", help="HTTP by our own client alone")
    parser.add_argument(
        "--syscalls",
        action="store_true",
        help="count system calls per operation, in one more run with perf",
    )


def add_repetition(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how often and how long it is measured."""
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--retries", type=int, default=0, help="measure again, so often, what others disturbed"
    )
    parser.add_argument(
        "--seconds", type=float, default=2.0, help="measured time of each loop in a round"
    )
    parser.add_argument(
        "--windows", type=int, default=8, help="parts of it, in which the loops take turns"
    )


def list_scenarios() -> None:
    """Print the table of scenarios, and the groups."""
    for one in SCENARIOS:
        size = "" if one.group == "http" else f"{one.size} B"
        shape = f"{one.connections} connections {size}" if one.is_served else ""
        shape += f" depth {one.depth}" if one.depth > 1 else ""
        promised = (AIMS | ZERO_COPY_AIMS).get(one.name, [])
        print(
            f"{one.name:<24}{one.group:<11}{one.transport if one.is_served else '':<6}"
            f"{shape:<36}{', '.join(map(str, promised))}".rstrip()
        )
    print("groups:", *GROUPS)


def measure_quietly(window: Callable[[], Sample], retries: int) -> Sample:
    """Measure, and repeat while others disturb it and retries are left. The quietest try counts."""
    samples: list[Sample] = []
    while not samples or (samples[-1].noise > NOISE_MAX and len(samples) <= retries):
        noise = Noise()
        sample = window()
        samples.append(dataclasses.replace(sample, noise=noise.cores()))
    return min(samples, key=lambda sample: sample.noise)


def run_round(
    result: Result, contestants: list[Contestant], settings: Settings, retries: int
) -> None:
    """Measure one process of each loop. Their windows take turns (A, B, A, B), so that a drift of
    the machine meets all alike. A loop that fails is left out from then on."""
    scenario = result.scenario
    found: dict[str, list[Sample]] = {}
    with contextlib.ExitStack() as servers:
        windows = {}
        for one in contestants:
            if one.label in result.failures:
                continue
            try:
                windows[one.label] = servers.enter_context(prepared(scenario, one, settings))
            except MeasurementError as error:
                result.failures[one.label] = str(error)
        order = list(windows)
        for _ in range(settings.windows_of(scenario)):
            order = order[1:] + order[:1]  # so that none always comes first
            for label in order:
                if label in result.failures:
                    continue
                try:
                    sample = measure_quietly(windows[label], retries)
                    found.setdefault(label, []).append(sample)
                except MeasurementError as error:
                    result.failures[label] = str(error)
    for label, samples in found.items():
        if label not in result.failures:
            result.samples.setdefault(label, []).append(merged(samples))


def run_scenario(
    scenario: Scenario,
    contestants: list[Contestant],
    settings: Settings,
    arguments: argparse.Namespace,
) -> Result:
    """Measure all rounds of one scenario."""
    result = Result(scenario, settings.fresh)
    rounds = arguments.rounds * (BULK_ROUNDS if scenario.group == "bulk" else 1)
    if settings.fresh and arguments.with_fresh:
        rounds = max(1, rounds // FRESH_SHARE)
    for _ in range(rounds):
        with exclusive():
            run_round(result, contestants, settings, arguments.retries)
        time.sleep(YIELD_SECONDS)
    for one in contestants if arguments.syscalls else ():
        if one.label not in result.failures:
            with exclusive(), contextlib.suppress(MeasurementError):
                result.system_calls[one.label] = count_system_calls(scenario, one, settings)
    return result


def run_all(
    scenarios: list[Scenario], report: Report, settings: Settings, arguments: argparse.Namespace
) -> bool:
    """Measure into the report, and print. Return False if it was interrupted."""
    table = Table(report.contestants)
    print(table.header(), flush=True)
    both = [settings, dataclasses.replace(settings, fresh=True)]
    try:
        for scenario in scenarios:
            for one in both if arguments.with_fresh else [settings]:
                # Fresh processes show the trap (README.md), and two loops are enough for that.
                contestants = report.contestants[
                    : 2 if one.fresh and arguments.with_fresh else None
                ]
                result = run_scenario(scenario, contestants, one, arguments)
                report.results.append(result)
                print(*table.rows(result), sep="\n", flush=True)
    except KeyboardInterrupt:
        print("interrupted: what was measured so far is kept", file=sys.stderr)
        return False
    print(f"\n{summary(report.results, report.contestants)}")
    return True


def main() -> int:
    """Measure and print. Return 1 if it was cut short or zcloop failed, 2 if nothing could run."""
    arguments = parse_arguments()
    if arguments.list:
        list_scenarios()
        return 0
    try:
        scenarios = select(arguments.scenarios)
        contestants = pick_contestants(
            arguments.loop, arguments.against, arguments.python, arguments.aa
        )
        artefacts.client()
    except (ValueError, artefacts.ArtefactError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    cores = pick_cores()
    settings = Settings(
        cores, arguments.seconds, arguments.fresh, not arguments.no_wrk, arguments.windows
    )
    kept = {**dataclasses.asdict(settings), "rounds": arguments.rounds}
    report = Report(machine(), kept, contestants)
    print(*(f"{name} {value}" for name, value in report.machine.items()), sep=", ")
    print(
        f"server on CPU {cores.server}, load on CPU {cores.client}; {arguments.rounds} rounds of "
        f"{arguments.seconds:g} s in {arguments.windows} windows; ratios are "
        f"{contestants[0].label} / loop of the row: median (lowest-highest)\n"
    )
    is_whole = run_all(scenarios, report, settings, arguments)
    if arguments.json:
        report.write(arguments.json)
    if arguments.markdown:
        markdown.write(arguments.markdown, report)
    subject = report.subject.label
    return 0 if is_whole and not any(subject in one.failures for one in report.results) else 1


if __name__ == "__main__":
    sys.exit(main())
