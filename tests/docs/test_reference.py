"""The reference has every public name, and its tables say what the program says."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from pathlib import Path

import pytest
from documents import ROOT

import zcloop
from zcloop.doctor.features import FEATURES

REFERENCE = ROOT / "docs/reference"
PUBLIC = ("zcloop", "files", "loop", "message_queues", "requests", "streams", "sync", "testing")
AUTO = re.compile(r"^\.\. auto(\w+):: ([\w.]+).*\n((?:   .*\n)*)", re.MULTILINE)
BY_HAND = re.compile(r"^```\{py:\w+\} ([\w.]+)", re.MULTILINE)


def documented() -> set[str]:
    """Return the full names of all entries of the reference but methods and attributes."""
    found = set()
    for page in REFERENCE.glob("*.md"):
        text = page.read_text()
        module = ""
        for kind, name, options in AUTO.findall(text):
            found.add(name)
            if kind != "module":
                continue
            module = name
            members = re.search(r":members:(.*(?:\n {9,}.*)*)", options)
            if members:
                listed = re.findall(r"\w+", members[1]) or importlib.import_module(name).__all__
                found |= {f"{name}.{member}" for member in listed}
        found |= {f"{module}.{name}" for name in BY_HAND.findall(text)}
    return found


def names(module: str) -> list[str]:
    found = importlib.import_module(module)
    public = [
        name
        for name, thing in vars(found).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module
    ]
    return getattr(found, "__all__", public)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_in_the_reference(name):
    module = name if name == "zcloop" else f"zcloop.{name}"
    # Streams are documented under their names in zcloop itself.
    places = ("zcloop", module)
    there = documented()
    assert names(module)
    assert [
        one for one in names(module) if not {f"{place}.{one}" for place in places} & there
    ] == []


def test_what_is_documented_in_another_place_is_the_same_object():
    streams = importlib.import_module("zcloop.streams")
    assert all(getattr(zcloop, name) is getattr(streams, name) for name in streams.__all__)


def test_the_reference_has_a_page_for_each_public_module():
    titles = {page.stem.replace("-", "_") for page in REFERENCE.glob("*.md")}
    assert {*PUBLIC, "loop", "transports", "environment", "kernels"} - titles == {"zcloop"}


# ---- tables ----------------------------------------------------------------------------------


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table under this line of headings."""
    text = (REFERENCE / page).read_text()
    _, found, rest = text.partition(f"{heading}\n")
    assert found, heading
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_kernels_are_those_of_the_doctor():
    heading = "| feature | since Linux | what it is for | what happens without it |"
    shown = [(cells[0].strip("`"), *cells[1:]) for cells in rows("kernels.md", heading)]
    assert shown == [(one.name, one.since, one.what, one.without) for one in FEATURES]


def test_features_are_those_of_a_loop():
    loop = zcloop.new_event_loop()
    try:
        assert {one.name for one in FEATURES} == loop.features.keys()
    finally:
        loop.close()


def test_every_statistic_is_in_the_table():
    always = rows("loop.md", "| key | unit | since when | what |")
    lent = rows("loop.md", "| key | unit | what |")
    shown = {name for cells in always + lent for name in re.findall(r"`(\w+)`", cells[0])}
    loop = zcloop.new_event_loop()
    try:
        loop.set_lease_pool_limit(64 << 20)  # makes the pool
        with zcloop.Region(4096) as region:
            of_regions = {f"pool_{name}" for name in region.statistics()}
        assert shown == loop.statistics().keys() | of_regions
    finally:
        loop.close()


def test_every_environment_variable_is_in_the_table():
    """Return the words in git that begin as ours do, anywhere in the project's code."""
    shown = set(re.findall(r"`(ZCLOOP_\w+)`", (REFERENCE / "environment.md").read_text()))
    listed = subprocess.run(
        ("git", "ls-files", "-z"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("no git repository")
    used = set()
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if not name or path.suffix in (".md", ".json", ".svg") or not os.path.isfile(path):
            continue
        used |= set(re.findall(r"\bZCLOOP_[A-Z_]*[A-Z]\b", _text(path)))
    assert shown == used


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""
