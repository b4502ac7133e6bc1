"""ARCHITECTURE.md names what is there: layers, rooms, files, and functions in them."""

from __future__ import annotations

import re

import pytest
from documents import ROOT

PAGE = (ROOT / "ARCHITECTURE.md").read_text()
NATIVE = ROOT / "_native"
# `turn`, `look` after `loop/core.pyx`: in one cell, up to the next file.
PLACES = re.compile(r"`([\w/]+\.(?:pyx|pxd|py))`: ((?:`\w+`(?:, )?)+)")
FILES = re.compile(r"`((?:\w+/)+\w+\.\w+|(?:tests|docs)/[\w/]+)`")


def find(path: str):
    """Below the root, or below _native/."""
    return next((one for one in (ROOT / path, NATIVE / path) if one.exists()), None)


def test_the_table_of_layers_is_the_tree():
    layers, rooms = (
        re.findall(r"^\| `(\w+)` \| .* \| .* \|$", table, re.MULTILINE)
        for table in PAGE.partition("## The turn")[0].split("| room |")
    )
    folders = [path.name for path in NATIVE.iterdir() if _has_code(path)]
    assert sorted([*layers, *rooms]) == sorted(folders)
    conftest = (ROOT / "tests/architecture/conftest.py").read_text()
    for name, listed in (("SPINE", layers), ("ROOMS", rooms)):
        found = re.search(rf"^{name} = \((.*)\)$", conftest, re.MULTILINE)
        assert found is not None
        assert re.findall(r"\w+", found[1]) == listed


def _has_code(path):
    return path.is_dir() and any(path.glob("*.pyx"))


def test_it_is_a_map_and_no_laboratory():
    assert len(PAGE.splitlines()) <= 170


@pytest.mark.parametrize("path", sorted(set(FILES.findall(PAGE))))
def test_a_file_that_is_named_is_there(path):
    assert find(path) is not None


@pytest.mark.parametrize(("path", "names"), PLACES.findall(PAGE))
def test_a_function_that_is_named_is_there(path, names):
    text = find(path).read_text()
    for name in re.findall(r"\w+", names):
        assert re.search(rf"\b(?:c?p?def|async def)\b[^\n]*\b{name}\(", text), f"{path}: {name}"


def test_each_document_is_linked_that_is_below_docs():
    targets = re.findall(r"\]\((docs/[\w/.-]+)\)", PAGE + (ROOT / "README.md").read_text())
    assert targets
    assert [target for target in targets if not (ROOT / target).is_file()] == []
