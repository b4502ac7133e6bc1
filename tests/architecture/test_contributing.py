"""CONTRIBUTING.md is true: its map has every folder, helper and marker of the tests."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable

import pytest


def unmapped(text: str, names: Iterable[str]) -> list[str]:
    """Return the names that no row of a table has in its first cell."""
    cells = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    return sorted({*names} - {*cells})


def unexplained(text: str, markers: Iterable[str]) -> list[str]:
    """Return the markers with which no item of a list begins."""
    return sorted({*markers} - {*re.findall(r"^- `(\w+)", text, re.MULTILINE)})


def markers_of(conftest: str) -> list[str]:
    return re.findall(r'addinivalue_line\(\s*"markers",\s*"(\w+)', conftest)


@pytest.fixture(scope="module")
def text(root: pathlib.Path) -> str:
    return (root / "CONTRIBUTING.md").read_text()


def test_every_folder_of_tests_is_on_the_map(text, root):
    tests = [*(root / "tests").glob("*/*.py"), *(root / "tests").glob("*/*/*.py")]
    # The files of tests/helpers have a table of their own.
    folders = {path.relative_to(root).parts[1] for path in tests} - {"helpers"}
    assert unmapped(text, {f"tests/{folder}" for folder in folders}) == []


def test_every_helper_of_tests_is_on_the_map(text, root):
    helpers = {path.name for path in (root / "tests/helpers").glob("*.py")}
    assert helpers
    assert unmapped(text, helpers) == []


def test_every_marker_is_explained(text, root):
    markers = markers_of((root / "tests/conftest.py").read_text())
    assert markers
    assert unexplained(text, markers) == []


def test_it_can_be_read_in_one_sitting(text):
    assert len(text.splitlines()) <= 200


def test_what_is_not_on_the_map_is_found():
    assert unmapped("| `a.py` | for a |\n`b.py`, | c.py |", ["a.py", "b.py", "c.py"]) == [
        "b.py",
        "c.py",
    ]


def test_a_marker_that_is_not_explained_is_found():
    conftest = 'addinivalue_line(\n "markers", "one(n): a")\naddinivalue_line("markers", "two: b")'
    assert markers_of(conftest) == ["one", "two"]
    assert unexplained("- `one(n)`: text\n`two`", ["one", "two"]) == ["two"]
