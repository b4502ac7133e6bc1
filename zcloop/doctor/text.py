"""The report for a person: the verdict in two lines, findings with their cures, then details."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TextIO

from zcloop.doctor.findings import Finding
from zcloop.doctor.memory import POOL_SIZE
from zcloop.doctor.report import Report

# Escape sequences of terminals, those of _OF_STATUS by exit status.
_RESET = "\x1b[0m"
_BOLD, _DIM = "\x1b[1m", "\x1b[2m"
_OF_STATUS = ("\x1b[1;32m", "\x1b[1;33m", "\x1b[1;31m")
_SEVERITY = {"broken": "cannot run", "less": "runs with less"}


def wants_colour(stream: TextIO) -> bool:
    """On a terminal that knows colours, unless NO_COLOR says otherwise (https://no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def render(report: Report, is_coloured: bool) -> str:
    """The whole text, with a newline at its end."""
    paint = _painted if is_coloured else _plain
    lines = [paint(report.summary, _OF_STATUS[report.status]), report.advice]
    if report.findings:
        lines += ["", paint("Findings", _BOLD)]
        for number, finding in enumerate(report.findings, 1):
            lines += _of_finding(number, finding, is_coloured)
    for title, section in _details(report):
        lines += ["", paint(title, _BOLD), *(f"  {line}" for line in section)]
    return "\n".join(lines) + "\n"


def _plain(text: str, _style: str) -> str:
    return text


def _painted(text: str, style: str) -> str:
    return f"{style}{text}{_RESET}"


def _of_finding(number: int, finding: Finding, is_coloured: bool) -> Iterator[str]:
    paint = _painted if is_coloured else _plain
    severity = _SEVERITY[finding.severity]
    yield ""
    yield paint(f"{number}. {finding.title} ({severity})", _OF_STATUS[finding.status])
    for line in finding.evidence:
        yield paint(f"   seen: {line}", _DIM)
    for cure in finding.cures:
        yield f"   {cure.where}:"
        for line in cure.lines:
            yield paint(f"      {line}", _BOLD)


def _details(report: Report) -> Iterator[tuple[str, list[str]]]:
    versions = [f"{name:<10} {value or 'unknown'}" for name, value in report.versions.items()]
    yield "Versions", versions
    yield "io_uring", _io_uring(report)
    yield "Features of io_uring", list(_features(report))
    yield "Memory", list(_memory(report))
    yield "Network", list(_network(report))


def _io_uring(report: Report) -> list[str]:
    loop = report.loop
    made = f"a loop runs on {loop.backend}" if loop.backend else f"no loop: {loop.error}"
    mode = report.access.answers.mode
    kind = [f"rings: {mode}"] if mode else []
    return [*report.access.evidence, *kind, f"epoll_create answers {loop.epoll}", made]


def _features(report: Report) -> Iterator[str]:
    for one in report.features:
        mark = "yes" if one.outcome.is_available else "no "
        feature = one.feature
        yield f"{mark} {feature.name:<18} Linux {feature.since:<5} {one.outcome.evidence}"
        yield f"      {feature.what if one.outcome.is_available else 'without: ' + feature.without}"
    if report.loop.features:
        used = [name for name, is_used in report.loop.features.items() if is_used]
        yield f"a loop on {report.loop.backend} has {', '.join(used) or 'none of them'}"


def _memory(report: Report) -> Iterator[str]:
    memory = report.memory
    counts = "" if memory.is_limited else ", and does not count for this process"
    yield (
        f"RLIMIT_MEMLOCK is {size(memory.memlock_soft)} (hard: {size(memory.memlock_hard)}){counts}"
    )
    if memory.pinnable is not None:
        yield f"can be pinned now: {size(memory.pinnable)} (64 MiB at most are tried)"
        yield f"a loop's ring is charged {size(memory.ring_charge)}"
        yield f"a loop that lends memory pins {size(POOL_SIZE)}"
        yield f"loops that lend memory for which there is room: {memory.lending_loops}"
    yield f"transparent huge pages: {memory.transparent_huge_pages or 'none'}"
    yield (
        f"huge pages of {size(memory.huge_page_size, 'unknown size')} that are free: "
        f"{memory.huge_pages_free or 0}"
    )


def _network(report: Report) -> Iterator[str]:
    for one in report.interfaces:
        state = "up" if one.is_up else "down"
        yield f"{one.name} ({one.kind}, {state}, MTU {one.mtu})"
        yield f"    zero-copy send: {one.zero_copy_send}"
        yield f"    zero-copy receive: {one.zero_copy_receive}"
    default, available = report.congestion_control
    yield f"TCP congestion control: {default or 'unknown'} (available: {', '.join(available)})"


def size(count: int | None, unlimited: str = "unlimited") -> str:
    """1536 KiB, 8 MiB: in the largest unit that leaves no rest."""
    if count is None:
        return unlimited
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count and count % factor == 0:
            return f"{count // factor} {unit}"
    return f"{count} bytes"
