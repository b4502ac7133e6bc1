"""Plots of a kept run: `python -m bench.plot RESULTS.json [FOLDER]` writes SVG files.

A dot is a loop's CPU per operation (for callbacks its time) over that of the first loop that the
run compared with. A line is the range of the rounds, a bar what is promised. It needs matplotlib.
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

from bench import aims
from bench.results import FIGURES, Report, Result, read

ROW_INCHES = 0.24
MARGIN_INCHES = 1.2
WIDTH_INCHES = 8.0
COLOURS = ("#d62728", "#1f77b4", "#7f7f7f", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf")
TICKS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5)
PLOTS = {"network": "cpu", "callbacks": "time"}


def plotted(report: Report, name: str) -> list[Result]:
    """Return the scenarios of one of PLOTS."""
    return [
        result
        for result in report.results
        if (result.scenario.group == "callbacks") == (name == "callbacks")
        and result.scenario.group != "zero-copy"
        and not result.is_fresh
    ]


def draw(axes: Any, report: Report, results: list[Result], figure: str) -> None:
    """Draw a row for each scenario, with a dot for each loop."""
    base = report.peers[0].label
    shown = [one for one in report.contestants if one.label != base]
    for colour, one in zip(COLOURS, shown, strict=False):
        found = [
            (row, ratio)
            for row, result in enumerate(results)
            if (ratio := result.ratio(one.label, base, FIGURES[figure]))
        ]
        if not found:
            continue
        rows = [row for row, _ in found]
        axes.hlines(
            rows,
            [ratio.lowest for _, ratio in found],
            [ratio.highest for _, ratio in found],
            color=colour,
            alpha=0.35,
        )
        axes.plot(
            [ratio.median for _, ratio in found], rows, "o", color=colour, ms=4, label=one.label
        )
    for row, result in enumerate(results):
        for aim in aims.aims(result.scenario.name, base):
            if aim.figure == figure:
                axes.plot([aim.ratio], [row], "|", color="black", ms=9)
    axes.axvline(1, color="black", lw=0.8)
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.set_yticks(range(len(results)), [result.scenario.name for result in results])
    axes.set_ylim(len(results) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.25)
    axes.set_xlabel(f"{figure} per operation / {base} (log scale; less is better; | is the aim)")
    axes.legend(loc="best", fontsize="small")


def save(report: Report, folder: Path) -> list[Path]:
    """Write the plots that the run has results for."""
    matplotlib = importlib.import_module("matplotlib")
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "zcloop"  # the same run makes the same file
    pyplot = importlib.import_module("matplotlib.pyplot")
    written = []
    for name, figure in PLOTS.items():
        if not (results := plotted(report, name)):
            continue
        height = MARGIN_INCHES + ROW_INCHES * len(results)
        drawing, axes = pyplot.subplots(figsize=(WIDTH_INCHES, height), layout="constrained")
        draw(axes, report, results, figure)
        path = folder / f"{name}.svg"
        drawing.savefig(path, metadata={"Date": None})
        written.append(path)
    return written


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m bench.plot", description=__doc__)
    parser.add_argument("results", metavar="RESULTS.json")
    parser.add_argument("folder", nargs="?", help="default: where the results are")
    arguments = parser.parse_args()
    folder = Path(arguments.folder or Path(arguments.results).parent)
    folder.mkdir(parents=True, exist_ok=True)
    report = read(arguments.results)
    if not report.peers:
        parser.exit(2, "the run compared with nothing\n")
    try:
        print(*save(report, folder), sep="\n")
    except ModuleNotFoundError:
        parser.exit(2, "plots need matplotlib: pip install '.[bench]'\n")


if __name__ == "__main__":
    main()
