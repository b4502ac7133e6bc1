"""What the benchmarks say of themselves: their README and their table of aims are complete."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

TABLES = """
import json
from bench import aims, scenarios, selection
print(json.dumps({
    "scenarios": [one.name for one in scenarios.SCENARIOS],
    "aims": sorted({*aims.AIMS, *aims.FRESH_AIMS, *aims.ZERO_COPY_AIMS, *scenarios.FLOOR}),
    "groups": selection.GROUPS,
}))
"""


@pytest.fixture(scope="module")
def tables(root):
    # In a process of its own: with the source tree in sys.path it would find zcloop/ there.
    command = [sys.executable, "-c", TABLES]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)


def test_names_of_scenarios_are_unique(tables):
    assert len(set(tables["scenarios"])) == len(tables["scenarios"])


def test_every_aim_is_of_a_scenario(tables):
    assert set(tables["aims"]) <= set(tables["scenarios"])


def test_every_group_is_in_the_readme(root, tables):
    text = (root / "bench" / "README.md").read_text()
    assert [group for group in tables["groups"] if f"`{group}`" not in text] == []


@pytest.mark.parametrize("name", ["accepted", "python3.14", "zero-copy"])
def test_the_readme_shows_the_runs_that_are_kept(root, name):
    command = [sys.executable, "-m", "bench.markdown", f"bench/results/{name}.json"]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert shown.stdout.count("\n| ") > 10
    assert f"-->\n\n{shown.stdout}\n<!-- end -->" in (root / "README.md").read_text()
