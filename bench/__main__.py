"""The command line: `python -m bench [SCENARIO ...] [--loop LOOP] [--against LOOP,...] ...`."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Sequence

from bench import artefacts, report
from bench.loops import Contestant, parse_contestant
from bench.measure import Settings, count_system_calls, measure
from bench.processes import (
    MeasurementError,
    Noise,
    exclusive,
    module_command,
    pick_cores,
    run_pinned,
)
from bench.scenarios import FLOOR, GROUPS, SCENARIOS, ZERO_COPY, Scenario, select

IMPORT_SECONDS = 30.0
YIELD_SECONDS = 0.05  # between rounds, so that another measurement that waits gets its turn


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
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
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="measured window of each loop")
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
    parser.add_argument("--no-wrk", action="store_true", help="HTTP by our own client alone")
    parser.add_argument(
        "--syscalls",
        action="store_true",
        help="count system calls per operation, in one more run with perf",
    )
    parser.add_argument("--json", metavar="OUT", help="write every sample to this file")
    parser.add_argument(
        "--markdown", metavar="OUT", help="write CPU seconds for each GiB, as a table for a README"
    )
    parser.add_argument("--list", action="store_true", help="show the scenarios and end")
    return parser.parse_args(arguments)


def list_scenarios() -> None:
    """Print the table of scenarios, and the groups."""
    for one in SCENARIOS:
        size = "" if one.group in ("callbacks", "http") else f"{one.size} B"
        shape = f"{one.connections} connections {size}" if one.server else ""
        shape += f" depth {one.depth}" if one.depth > 1 else ""
        promised = FLOOR | ZERO_COPY
        target = f"target {promised[one.name]}" if one.name in promised else ""
        print(
            f"{one.name:<24}{one.group:<11}{one.transport if one.server else '':<6}"
            f"{shape:<36}{target}".rstrip()
        )
    print("groups:", *GROUPS)


def missing(contestant: Contestant) -> str:
    """Why this loop cannot run here, or nothing."""
    if contestant.protocol == "zero-copy" and contestant.loop != "zcloop":
        return "only zcloop has a ZeroCopyProtocol"
    command = module_command(contestant.python, "bench.loops", contestant.factory)
    try:
        found = run_pinned(command, pick_cores().client, IMPORT_SECONDS)
    except OSError as error:
        return str(error)
    return found.stderr.strip().splitlines()[-1] if found.returncode else ""


def pick_contestants(arguments: argparse.Namespace) -> list[Contestant]:
    """The loop in question and its peers; a peer that cannot be imported is left out aloud."""
    subject = parse_contestant(arguments.loop, arguments.python)
    if reason := missing(subject):
        raise ValueError(f"{subject.label}: {reason}")
    if arguments.aa:
        return [subject, dataclasses.replace(subject, label=f"{subject.label} again")]
    chosen = [subject]
    for name in filter(None, arguments.against.split(",")):
        peer = parse_contestant(name, arguments.python)
        if reason := missing(peer):
            print(f"{peer.label} is left out: {reason}", file=sys.stderr)
        elif peer.label not in [one.label for one in chosen]:
            chosen.append(peer)
    return chosen


def run_scenario(
    scenario: Scenario,
    contestants: list[Contestant],
    settings: Settings,
    rounds: int,
    with_system_calls: bool,
) -> report.Result:
    """All rounds of one scenario: A, B, A, B, so that what drifts falls on all alike."""
    result = report.Result(scenario)
    for _ in range(rounds):
        with exclusive():
            for one in contestants:
                if one.label in result.failures:
                    continue
                try:
                    noise = Noise()
                    sample = measure(scenario, one, settings)
                    sample = dataclasses.replace(sample, noise=noise.cores())
                except MeasurementError as error:
                    result.failures[one.label] = str(error)
                else:
                    result.samples.setdefault(one.label, []).append(sample)
        time.sleep(YIELD_SECONDS)
    for one in contestants if with_system_calls else ():
        if one.label not in result.failures:
            with exclusive():
                result.system_calls[one.label] = count_system_calls(scenario, one, settings)
    return result


def main() -> int:
    """Measure and print; 1 when it was cut short or the loop failed, 2 when nothing could run."""
    arguments = parse_arguments()
    if arguments.list:
        list_scenarios()
        return 0
    try:
        scenarios = select(arguments.scenarios)
        contestants = pick_contestants(arguments)
        artefacts.client()
    except (ValueError, artefacts.ArtefactError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    cores = pick_cores()
    settings = Settings(cores, arguments.seconds, arguments.fresh, not arguments.no_wrk)
    print(*(f"{name} {value}" for name, value in report.machine().items()), sep=", ")
    print(
        f"server on CPU {cores.server}, load on CPU {cores.client}; {arguments.rounds} rounds of "
        f"{arguments.seconds:g} s; ratios are {contestants[0].label} / loop of the row: "
        "median (lowest-highest)\n"
    )
    table = report.Table(contestants, has_targets=not settings.fresh)
    print(table.header(), flush=True)
    results: list[report.Result] = []
    is_interrupted = False
    try:
        for scenario in scenarios:
            result = run_scenario(
                scenario, contestants, settings, arguments.rounds, arguments.syscalls
            )
            results.append(result)
            print(*table.rows(result), sep="\n", flush=True)
    except KeyboardInterrupt:
        is_interrupted = True
        print("interrupted: what was measured so far is kept", file=sys.stderr)
    if arguments.json:
        report.write_json(arguments.json, results, contestants, dataclasses.asdict(settings))
    if arguments.markdown:
        report.write_markdown(arguments.markdown, results, contestants)
    return 1 if is_interrupted or any(table.subject in result.failures for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
