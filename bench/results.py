"""Results: the samples of each round, their ratios, and a JSON file that keeps them all."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import aims
from bench.loops import Contestant
from bench.processes import ROOT
from bench.sample import Sample
from bench.scenarios import Scenario

ROUNDS_TELLING = 3  # with fewer rounds "slower in each of them" may be chance
Figure = Callable[[Sample], float | None]


@dataclass(frozen=True)
class Ratio:
    """The ratios of all rounds: their median, and their range."""

    median: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lowest:.2f}-{self.highest:.2f})"


def cpu(sample: Sample) -> float:
    """Return the figure that a ratio of CPU compares."""
    return sample.cpu_us_per_op


def rate(sample: Sample) -> float:
    """Return the figure that a ratio of throughput compares."""
    return sample.ops_per_second


# What an aim may be about, by its name. Of each figure less is better.
FIGURES: dict[str, Figure] = {
    "cpu": cpu,
    "time": lambda sample: 1 / sample.ops_per_second,
    "p99": lambda sample: sample.p99_us,
    "rss": lambda sample: sample.rss_per_connection,
}


@dataclass(frozen=True)
class Verdict:
    """One aim, and the ratio that was reached."""

    aim: aims.Aim
    ratio: Ratio

    @property
    def is_met(self) -> bool:
        """Whether the ratio, to two digits as it is printed, is at most the one aimed at."""
        return round(self.ratio.median, 2) <= self.aim.ratio

    def __str__(self) -> str:
        about = "" if self.aim.figure == "cpu" else f"{self.aim.figure} {self.ratio}, "
        return f"{about}aim {self.aim.ratio:g} {'met' if self.is_met else 'MISSED'}"


@dataclass
class Result:
    """All rounds of one scenario: samples by the label of their loop, and who failed and why."""

    scenario: Scenario
    is_fresh: bool = False
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    system_calls: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the scenario, and whether its servers were fresh."""
        return f"{self.scenario.name}{' fresh' if self.is_fresh else ''}"

    def median(self, label: str, figure: Figure) -> float:
        """Return the median of all rounds of one loop, or NaN if it has none."""
        values = [one for one in map(figure, self.samples.get(label, ())) if one is not None]
        return statistics.median(values) if values else math.nan

    def ratio(self, of: str, to: str, figure: Figure) -> Ratio | None:
        """Compare `of` with `to`, round by round."""
        pairs = zip(self.samples.get(of, ()), self.samples.get(to, ()), strict=False)
        figures = [(figure(one), figure(other)) for one, other in pairs]
        ratios = [one / other for one, other in figures if one is not None and other]
        if not ratios or of in self.failures or to in self.failures:
            return None
        return Ratio(statistics.median(ratios), min(ratios), max(ratios))

    def verdicts(self, subject: Contestant, peer: Contestant) -> list[Verdict]:
        """Return what was promised of the subject against this peer, and what was reached."""
        promised = aims.aims(self.scenario.name, peer.loop, subject.protocol, self.is_fresh)
        return [
            Verdict(aim, ratio)
            for aim in promised
            if (ratio := self.ratio(subject.label, peer.label, FIGURES[aim.figure]))
        ]

    def is_slower(self, subject: Contestant, peer: Contestant) -> bool:
        """Whether the subject did fewer operations a second than the peer in every round."""
        ratio = self.ratio(subject.label, peer.label, rate)
        is_telling = len(self.samples.get(peer.label, ())) >= ROUNDS_TELLING
        return is_telling and ratio is not None and ratio.highest < 1


@dataclass
class Report:
    """A whole run: what it depends on, who ran, and all results."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    contestants: list[Contestant]
    results: list[Result] = field(default_factory=list)

    @property
    def subject(self) -> Contestant:
        """The loop in question."""
        return self.contestants[0]

    @property
    def peers(self) -> list[Contestant]:
        """The loops that it is compared with."""
        return self.contestants[1:]

    def write(self, path: str) -> None:
        """Write everything that was measured, every sample, as JSON."""
        document = asdict(self)
        for written, result in zip(document["results"], self.results, strict=True):
            written["ratios"] = self._ratios(result)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(json.dumps(document, indent=1) + "\n")

    def _ratios(self, result: Result) -> dict[str, Any]:
        figures = {**FIGURES, "rate": rate}
        return {
            peer.label: {
                name: asdict(ratio)
                for name, figure in figures.items()
                if (ratio := result.ratio(self.subject.label, peer.label, figure))
            }
            for peer in self.peers
        }


def read(path: str) -> Report:
    """Read what Report.write() has written."""
    document = json.loads(Path(path).read_text())
    results = []
    for written in document["results"]:
        del written["ratios"]
        samples = {
            label: [Sample(**sample) for sample in found]
            for label, found in written.pop("samples").items()
        }
        scenario = Scenario(**written.pop("scenario"))
        results.append(Result(scenario, samples=samples, **written))
    contestants = [Contestant(**one) for one in document["contestants"]]
    return Report(document["machine"], document["settings"], contestants, results)


def _congestion_control() -> str:
    """Return TCP's default congestion control, or "" if /proc does not show it."""
    try:
        return Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    except OSError:
        return ""


def _commit() -> str:
    """Return the commit of this source tree, with "+" if it was changed; "" where there is none."""
    try:
        described = subprocess.run(
            ["git", "-C", ROOT, "describe", "--always", "--abbrev=12", "--dirty=+"],
            capture_output=True,
            text=True,
        )
    except OSError:
        return ""
    return described.stdout.strip()


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    processor = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "kernel": platform.release(),
        "congestion control": _congestion_control(),
        "processor": processor,
        "cpus": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "commit": _commit(),
    }
