"""CONTRIBUTING.md is true: its map has every folder, helper and marker of the tests, and its verbs
and their owners are in the code."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterable

import pytest


def unmapped(text: str, names: Iterable[str]) -> list[str]:
    """The names that are in the first cell of no row of a table."""
    cells = re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE)
    return sorted({*names} - {*cells})


def unexplained(text: str, markers: Iterable[str]) -> list[str]:
    """The markers that no item of a list begins with."""
    return sorted({*markers} - {*re.findall(r"^- `(\w+)", text, re.MULTILINE)})


def markers_of(conftest: str) -> list[str]:
    return re.findall(r'addinivalue_line\(\s*"markers",\s*"(\w+)', conftest)


def verbs_of(text: str) -> dict[str, list[str]]:
    """The verbs of the table, each with the classes that are named as its owners."""
    table = re.search(r"^\| verb \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [row.strip("|").split("|") for row in table[1].splitlines()] if table else []
    return {
        verb: re.findall(r"`([A-Z]\w+)`", owners)
        for verbs, _, owners in rows
        for verb in re.findall(r"`(\w+)`", verbs)
    }


def unknown(verbs: dict[str, list[str]], code: str) -> list[str]:
    """Verbs that no function of the code is called by, and owners that are no class of it."""
    functions = set(re.findall(r"\b(?:def|cdef|cpdef) [^\n(=]*?(\w+)\(", code))
    classes = set(re.findall(r"\bclass (\w+)", code))
    owners = {owner for some in verbs.values() for owner in some}
    return sorted({*verbs} - functions) + sorted(owners - classes)


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


def test_verbs_and_their_owners_are_in_the_code(text, native, facade):
    verbs = verbs_of(text)
    code = "\n".join(module.code for module in (*native.values(), *facade.values()))
    assert len(verbs) > 20
    assert unknown(verbs, code) == []


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


def test_a_verb_or_an_owner_that_the_code_does_not_have_is_found():
    text = "| verb | a | b |\n|---|---|---|\n| `go`, `come` | x | `Road`, `Way` (`go`) |\n\n`see`"
    code = "class Road:\n    cdef int go(self) except -1\n\ndef way(): ...\n"
    assert verbs_of(text) == {"go": ["Road", "Way"], "come": ["Road", "Way"]}
    assert unknown(verbs_of(text), code) == ["come", "Way"]
