"""The report as Markdown: `python -m bench.markdown RESULTS.json` prints that of a kept run.

For the group zero-copy it gives CPU seconds of the server per GiB, for others the ratio of CPU.
`--into PAGE.md` puts it between the lines `<!-- RESULTS.json -->` and `<!-- end -->` there, and
between `<!-- RESULTS.json GROUP -->` and `<!-- end -->` the rows of one group.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from bench import aims
from bench.loops import Contestant
from bench.results import Ratio, Report, Result, cpu, rate, read
from bench.selection import select

UNITS = {"cpu": "", "time": " (time)", "p99": " (p99)", "rss": " (RSS)"}


def _lines(rows: list[list[str]]) -> str:
    rows = [rows[0], ["---"] + ["---:"] * (len(rows[0]) - 1), *rows[1:]]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _text(ratio: Ratio | None, is_whole: bool) -> str:
    if ratio is None:
        return ""
    return str(ratio) if is_whole else f"{ratio.median:.2f}"


def _aimed(result: Result, subject: Contestant, peer: Contestant, is_whole: bool = True) -> str:
    """Say what was reached of each aim, bold if it is missed; without an aim, the ratio of CPU."""
    texts = []
    for verdict in result.verdicts(subject, peer):
        text = f"{_text(verdict.ratio, is_whole)}{UNITS[verdict.aim.figure]}"
        texts.append(text if verdict.is_met else f"**{text}**")
    return ", ".join(texts) or _plain(result, subject, peer, is_whole)


def _plain(result: Result, subject: Contestant, peer: Contestant, is_whole: bool) -> str:
    for one in (subject, peer):
        if one.label in result.failures:
            return "" if one.is_floor else "fails" if one is subject else "cannot"
    return _text(result.ratio(subject.label, peer.label, cpu), is_whole)


def _aims(result: Result, report: Report) -> str:
    """Return what is promised of this very scenario, without what is promised of every one."""
    texts = []
    for peer in report.peers:
        for aim in aims.aims(result.scenario.name, peer.loop, is_fresh=result.is_fresh):
            if aim.ratio != 1 or aim.figure != "cpu":
                of = "" if peer is report.peers[0] else f" of {peer.label}"
                texts.append(f"{aim.ratio:g}{UNITS[aim.figure]}{of}")
    return ", ".join(texts)


def ratios(report: Report) -> str:
    """Make a row for each scenario: aims, ratios to all peers, and that of fresh processes."""
    subject, peers = report.subject, report.peers
    fresh = {result.scenario.name: result for result in report.results if result.is_fresh}
    warm = [result for result in report.results if not result.is_fresh]
    first = peers[0]
    header = ["scenario", "aim", *(f"CPU / {one.label}" for one in peers)]
    header += [f"operations a second / {first.label}"]
    header += [f"fresh process / {first.label}"] if fresh else []
    rows = [header]
    for result in warm or list(fresh.values()):
        if result.scenario.group == "zero-copy":
            continue
        row = [result.scenario.name, _aims(result, report)]
        row += [_aimed(result, subject, peer, peer is first) for peer in peers]
        row += [_text(result.ratio(subject.label, first.label, rate), False)]
        if fresh:
            other = fresh.get(result.scenario.name)
            row += [_aimed(other, subject, first, False) if other else ""]
        rows.append(row)
    return _lines(rows)


def _seconds_per_gib(result: Result, one: Contestant) -> str:
    if one.label in result.failures:
        return "failed"
    return f"{result.median(one.label, lambda sample: sample.cpu_seconds_per_gib):.3f}"


def seconds_per_gib(report: Report) -> str:
    """Make the table of CPU per GiB with zcloop's ratio to the others, and in brackets the range of
    the rounds."""
    subject, peers = report.subject, report.peers
    rows = [["", subject.label, *(one.label for one in peers), "aim"]]
    for result in report.results:
        if result.scenario.group != "zero-copy":
            continue
        row = [result.name, _seconds_per_gib(result, subject)]
        for peer in peers:
            ratio = result.ratio(subject.label, peer.label, cpu) or ""
            row.append(f"{_seconds_per_gib(result, peer)}: {ratio}")
        ratios = {each.aim.ratio for peer in peers for each in result.verdicts(subject, peer)}
        rows.append([*row, ", ".join(f"{ratio:g}" for ratio in ratios)])
    return _lines(rows)


def markdown(report: Report) -> str:
    """Make the tables, below what they depend on."""
    about = {key: value for key, value in report.machine.items() if value not in ("", None)}
    versions = ", ".join(f"{one.label} {one.version}".strip() for one in report.contestants)
    about_text = ", ".join(f"{name} {value}" for name, value in about.items())
    parts = [f"{versions}; {about_text}; {report.settings['rounds']} rounds.\n"]
    groups = {result.scenario.group == "zero-copy" for result in report.results}
    if False in groups and report.peers:
        parts.append(
            f"Server CPU per operation of {report.subject.label}, as a share of the others': the "
            "median of the rounds, in brackets the lowest and the highest. Bold: missed; `cannot`: "
            "the other loop lacks it, or gave no answers.\n\n" + ratios(report)
        )
    if True in groups:
        parts.append("Server CPU seconds for each GiB moved.\n\n" + seconds_per_gib(report))
    return "\n".join(parts)


def write(path: str, report: Report) -> None:
    """Keep the tables in a file."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(markdown(report))


def put_into(path: str, results: str) -> None:
    """Replace what stands between the lines of this run in a file. A file without such lines is a
    ValueError."""
    lines = re.compile(rf"(<!-- {re.escape(results)}(?: (\S+))? -->\n).*?(<!-- end -->)", re.DOTALL)

    def replace(found: re.Match[str]) -> str:
        report = read(results)
        if found[2]:
            names = {one.name for one in select([found[2]])}
            report.results = [one for one in report.results if one.scenario.name in names]
        return f"{found[1]}\n{markdown(report)}\n{found[3]}"

    text, count = lines.subn(replace, Path(path).read_text())
    if not count:
        raise ValueError(f"{path} has no lines <!-- {results} --> and <!-- end -->")
    Path(path).write_text(text)


def main() -> None:
    """Print the tables, or put them where the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench.markdown", description=__doc__)
    parser.add_argument("results", metavar="RESULTS.json")
    parser.add_argument("--into", metavar="FILE", help="that has the two lines of this run")
    arguments = parser.parse_args()
    if not arguments.into:
        sys.stdout.write(markdown(read(arguments.results)))
        return
    try:
        put_into(arguments.into, arguments.results)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
