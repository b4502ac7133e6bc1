"""The README and the table of aims of the benchmarks are complete, and their tables are true."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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

# Two rounds of a row in which no loop can even be made.
FAILING = """
import json, sys
from bench.__main__ import run_round
from bench.loops import Contestant
from bench.measure import Settings
from bench.processes import pick_cores
from bench.results import Result
from bench.scenarios import SCENARIOS
scenario = next(one for one in SCENARIOS if one.server == "echo" and one.is_served)
result = Result(scenario)
contestants = [Contestant(label, "nothing:here", sys.executable) for label in ("one", "other")]
for _ in range(2):
    run_round(result, contestants, Settings(pick_cores()), 0)
print(json.dumps([result.failures, result.samples]))
"""
# A window in which something is answered only if it is long enough.
SLOW = """
import json, sys
from bench.measure import answered
from bench.processes import NothingCompletedError
from bench.sample import Sample
tried = []
def window(stretch):
    tried.append(stretch)
    if stretch < int(sys.argv[1]):
        raise NothingCompletedError("nothing")
    return Sample(1, stretch, 0)
try:
    found = answered(window).seconds
except NothingCompletedError as error:
    found = str(error)
print(json.dumps([found, len(tried), tried == sorted(set(tried))]))
"""


def said(root, program, *arguments):
    # In a process of its own, since this one would find zcloop/ of the source tree in sys.path.
    command = [sys.executable, "-c", program, *arguments]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)


@pytest.fixture(scope="module")
def tables(root):
    return said(root, TABLES)


def test_names_of_scenarios_are_unique(tables):
    assert len(set(tables["scenarios"])) == len(tables["scenarios"])


def test_every_aim_is_of_a_scenario(tables):
    assert set(tables["aims"]) <= set(tables["scenarios"])


def test_every_group_is_in_the_readme(root, tables):
    text = (root / "bench" / "README.md").read_text()
    assert [group for group in tables["groups"] if f"`{group}`" not in text] == []


def test_a_row_in_which_every_loop_has_failed_goes_on_to_its_end(root):
    failures, samples = said(root, FAILING)
    assert sorted(failures) == ["one", "other"]
    assert all("nothing" in reason for reason in failures.values())
    assert samples == {}


def test_a_window_without_an_answer_is_measured_again_and_longer(root):
    assert said(root, SLOW, "1") == [1, 1, True]
    assert said(root, SLOW, "2") == [4, 2, True]
    assert said(root, SLOW, "1000") == ["nothing", 3, True]


KEPT = sorted(Path(__file__).parents[2].glob("bench/results/*.json"))
PUT_INTO = r"""
import re, sys
from pathlib import Path
from bench.markdown import put_into
copy = Path(sys.argv[1])
for results in sorted(set(re.findall(r"<!-- (\S+\.json)(?: \S+)? -->", copy.read_text()))):
    put_into(str(copy), results)
"""


@pytest.mark.parametrize("name", [path.stem for path in KEPT])
def test_the_documentation_shows_the_runs_that_are_kept(root, name):
    command = [sys.executable, "-m", "bench.markdown", f"bench/results/{name}.json"]
    shown = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert shown.stdout.count("\n| ") > 10
    pages = [page.read_text() for page in (root / "docs" / "benchmarks").glob("*.md")]
    table = f"<!-- bench/results/{name}.json -->\n\n{shown.stdout}\n<!-- end -->"
    assert sum(table in page for page in pages) == 1


def test_what_the_documentation_shows_of_a_run_is_what_was_measured(root, tmp_path):
    """This includes tables of one group: to put each in once more changes nothing."""
    pages = [*(root / "docs").rglob("*.md"), root / "README.md"]
    with_tables = [page for page in pages if ".json" in page.read_text()]
    assert with_tables
    for page in with_tables:
        copy = tmp_path / page.name
        copy.write_text(page.read_text())
        command = [sys.executable, "-c", PUT_INTO, str(copy)]
        subprocess.run(command, cwd=root, check=True)
        assert copy.read_text() == page.read_text(), page
