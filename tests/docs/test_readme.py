"""README.md says what was measured, and names what is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from documents import ROOT

README = (ROOT / "README.md").read_text()
FIGURE = re.compile(r"(\d\.\d\d) of uvloop's (CPU|time)\b.*\(`([\w-]+)`\)")
PAGE = ROOT / "docs/benchmarks/promptness.md"


def row(name: str, page: Path) -> list[str]:
    """Return the cells of a row of its last table, with figures without marks and ranges."""
    cells = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", page.read_text(), re.MULTILINE)[-1]
    return [re.sub(r"\*| \(.*?\)", "", cell).strip() for cell in cells.split("|")]


@pytest.mark.parametrize(("figure", "unit", "name"), FIGURE.findall(README))
def test_a_figure_is_that_of_the_kept_run(figure, unit, name):
    _aim, _before, of_uvloop, _rate = row(name, PAGE)
    assert of_uvloop == figure
    assert (unit == "time") == name.startswith("call-")


def test_there_are_five_figures():
    assert len(FIGURE.findall(README)) == 5


def test_it_is_a_front_door_and_no_laboratory():
    assert len(README.splitlines()) <= 130


@pytest.mark.parametrize("target", ["demo", "test", "docs"])
def test_a_command_that_it_names_is_there(target):
    assert f"\nmake {target} " in README
    assert f"\n{target}: " in (ROOT / "Makefile").read_text()
