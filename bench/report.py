"""From samples to ratios, and from ratios to lines of a table and a JSON file."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.loops import Contestant
from bench.measure import Sample
from bench.scenarios import FLOOR, ZERO_COPY, Scenario

FLOOR_PEER = "uvloop"


@dataclass(frozen=True)
class Ratio:
    """The ratio of each round: its median, and between what values it moved."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f}-{self.highest:.2f})"


@dataclass
class Result:
    """All rounds of one scenario: samples by the label of their loop, and who failed and why."""

    scenario: Scenario
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    system_calls: dict[str, float] = field(default_factory=dict)

    def ratio(self, of: str, to: str, value: Callable[[Sample], float]) -> Ratio | None:
        """How `of` compares to `to`, round by round."""
        pairs = zip(self.samples.get(of, ()), self.samples.get(to, ()), strict=False)
        ratios = [value(one) / value(other) for one, other in pairs]
        if not ratios or of in self.failures or to in self.failures:
            return None
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))


def targets(subject: Contestant) -> dict[str, float]:
    """The CPU ratios that the project promises of this contestant, by scenario."""
    return ZERO_COPY if subject.protocol == "zero-copy" else FLOOR


def cpu(sample: Sample) -> float:
    """What a ratio of CPU compares."""
    return sample.cpu_us_per_op


def rate(sample: Sample) -> float:
    """What a ratio of throughput compares."""
    return sample.ops_per_second


def _median(samples: list[Sample], value: Callable[[Sample], float | None]) -> float:
    values = [one for one in map(value, samples) if one is not None]
    return statistics.median(values) if values else math.nan


def _number(value: float, width: int, digits: int) -> str:
    return " " * width if math.isnan(value) else f"{value:>{width},.{digits}f}"


def _text(ratio: Ratio | None) -> str:
    return str(ratio) if ratio else ""


class Table:
    """The lines of the report; ratios are of the subject to the loop of the row."""

    def __init__(self, contestants: list[Contestant], has_targets: bool) -> None:
        self.subject, *self.peers = (one.label for one in contestants)
        self.targets = targets(contestants[0]) if has_targets else {}
        self.with_target = [one.label for one in contestants[1:] if one.loop == FLOOR_PEER]
        self.width = max(len(one.label) for one in contestants) + 2

    def header(self) -> str:
        """The line above all rows."""
        return (
            f"{'scenario':<22}{'loop':<{self.width}}{'ops/s':>11}{'CPU us/op':>11}{'p50 us':>9}"
            f"{'p99 us':>9}{'calls/op':>10}{'noise':>7}   {'CPU ratio':<18}{'ops/s ratio':<18}"
            f"{'target' if self.targets else ''}"
        ).rstrip()

    def rows(self, result: Result) -> list[str]:
        """The lines of one scenario, one a loop."""
        return [self._row(result, label).rstrip() for label in (self.subject, *self.peers)]

    def _row(self, result: Result, label: str) -> str:
        row = f"{result.scenario.name:<22}{label:<{self.width}}"
        if label in result.failures:
            return f"{row} failed: {result.failures[label]}"
        samples = result.samples.get(label, [])
        row += _number(_median(samples, rate), 11, 0) + _number(_median(samples, cpu), 11, 3)
        row += _number(_median(samples, lambda one: one.p50_us), 9, 0)
        row += _number(_median(samples, lambda one: one.p99_us), 9, 0)
        row += _number(result.system_calls.get(label, math.nan), 10, 2)
        row += _number(_median(samples, lambda one: one.noise), 7, 2)
        if label != self.subject:
            cpu_ratio = result.ratio(self.subject, label, cpu)
            rate_ratio = result.ratio(self.subject, label, rate)
            row += f"   {_text(cpu_ratio):<18}{_text(rate_ratio):<18}"
            row += self._verdict(result.scenario.name, label, cpu_ratio)
        lost = sum(one.lost for one in samples)
        return row.rstrip() + (f"   lost {lost} datagrams" if lost else "")

    def _verdict(self, name: str, peer: str, ratio: Ratio | None) -> str:
        target = self.targets.get(name)
        if target is None or peer not in self.with_target or not ratio:
            return ""
        return f"{target} {'met' if ratio.median <= target else 'MISSED'}"


def markdown(results: list[Result], contestants: list[Contestant]) -> str:
    """The figures as a table for a README: CPU for each GiB, and the subject's ratio to the row's
    others. In brackets where the ratios of the rounds moved."""
    subject, *peers = contestants
    header = ["", subject.label, *(one.label for one in peers), "aim"]
    lines = [header, ["---"] + ["---:"] * (len(header) - 1)]
    for result in results:
        row = [result.scenario.name, _seconds_per_gib(result, subject)]
        for peer in peers:
            ratio = _text(result.ratio(subject.label, peer.label, cpu))
            row.append(f"{_seconds_per_gib(result, peer)}: {ratio}")
        target = targets(subject).get(result.scenario.name)
        lines.append([*row, f"{target:g}" if target else ""])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _seconds_per_gib(result: Result, contestant: Contestant) -> str:
    if contestant.label in result.failures:
        return "failed"
    samples = result.samples.get(contestant.label, [])
    return f"{_median(samples, lambda one: one.cpu_seconds_per_gib):.3f}"


def write_markdown(path: str, results: list[Result], contestants: list[Contestant]) -> None:
    """The table of `markdown`, below what it depends on."""
    machine_text = ", ".join(f"{name} {value}" for name, value in machine().items())
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    caption = f"Server CPU seconds for each GiB moved; {machine_text}."
    Path(path).write_text(f"{caption}\n\n{markdown(results, contestants)}")


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    processor = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "kernel": platform.release(),
        "processor": processor,
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
    }


def write_json(
    path: str, results: list[Result], contestants: list[Contestant], settings: dict[str, Any]
) -> None:
    """Everything that was measured, every sample of it, for plots and later comparison."""
    subject, *peers = (one.label for one in contestants)

    def ratios(result: Result, value: Callable[[Sample], float]) -> dict[str, Any]:
        found = {peer: result.ratio(subject, peer, value) for peer in peers}
        return {peer: asdict(ratio) for peer, ratio in found.items() if ratio}

    document = {
        "machine": machine(),
        "settings": settings,
        "contestants": [asdict(one) for one in contestants],
        "results": [
            {
                "scenario": asdict(result.scenario),
                "target": targets(contestants[0]).get(result.scenario.name),
                "samples": {
                    label: [asdict(one) for one in samples]
                    for label, samples in result.samples.items()
                },
                "failures": result.failures,
                "system_calls_per_op": result.system_calls,
                "cpu_ratio": ratios(result, cpu),
                "rate_ratio": ratios(result, rate),
            }
            for result in results
        ],
    }
    Path(path).write_text(json.dumps(document, indent=1) + "\n")
