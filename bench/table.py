"""The report for a terminal, with a line for each scenario and loop."""

from __future__ import annotations

import math

from bench.loops import Contestant
from bench.results import Ratio, Result, cpu, rate

NAME_WIDTH = 27


def _number(value: float, width: int, digits: int) -> str:
    return " " * width if math.isnan(value) else f"{value:>{width},.{digits}f}"


def _text(ratio: Ratio | None) -> str:
    return str(ratio) if ratio else ""


class Table:
    """Make the lines of the report. A ratio is of the subject to the loop of its row."""

    def __init__(self, contestants: list[Contestant]) -> None:
        self.contestants = contestants
        self.subject = contestants[0]
        self.width = max(len(one.label) for one in contestants) + 2

    def header(self) -> str:
        """Make the line above all rows."""
        return (
            f"{'scenario':<{NAME_WIDTH}}{'loop':<{self.width}}{'ops/s':>11}{'CPU us/op':>11}"
            f"{'p50 us':>9}{'p99 us':>9}{'RSS MiB':>9}{'calls/op':>10}{'noise':>7}"
            f"   {'CPU ratio':<20}{'ops/s ratio':<20}aim"
        )

    def rows(self, result: Result) -> list[str]:
        """Make the lines of one scenario, one for each loop that was measured."""
        asked = {**result.samples, **result.failures}
        return [self._row(result, one).rstrip() for one in self.contestants if one.label in asked]

    def _row(self, result: Result, one: Contestant) -> str:
        label = one.label
        row = f"{result.name:<{NAME_WIDTH}}{label:<{self.width}}"
        if label in result.failures:
            return f"{row} failed: {result.failures[label]}"
        row += _number(result.median(label, rate), 11, 0)
        row += _number(result.median(label, cpu), 11, 3)
        row += _number(result.median(label, lambda sample: sample.p50_us), 9, 0)
        row += _number(result.median(label, lambda sample: sample.p99_us), 9, 0)
        row += _number(result.median(label, lambda sample: sample.rss_mib), 9, 1)
        row += _number(result.system_calls.get(label, math.nan), 10, 2)
        row += _number(result.median(label, lambda sample: sample.noise), 7, 2)
        if one is not self.subject:
            row += f"   {_text(result.ratio(self.subject.label, label, cpu)):<20}"
            row += f"{_text(result.ratio(self.subject.label, label, rate)):<20}"
            said = list(map(str, result.verdicts(self.subject, one)))
            said += ["SLOWER"] if result.is_slower(self.subject, one) else []
            row += "; ".join(said)
        lost = sum(sample.lost for sample in result.samples.get(label, ()))
        return row.rstrip() + (f"   lost {lost} datagrams" if lost else "")


def summary(results: list[Result], contestants: list[Contestant]) -> str:
    """Say how many aims were met, and which were not."""
    verdicts = [
        (result.name, peer.label, verdict)
        for result in results
        for peer in contestants[1:]
        for verdict in result.verdicts(contestants[0], peer)
    ]
    missed = [
        f"  {name} against {label}: {verdict.aim.figure} {verdict.ratio}, aim {verdict.aim.ratio:g}"
        for name, label, verdict in verdicts
        if not verdict.is_met
    ]
    met = len(verdicts) - len(missed)
    return "\n".join([f"{met} of {len(verdicts)} aims met", *missed])
