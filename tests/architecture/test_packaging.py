"""pyproject.toml agrees with itself and with the tree in what it tells pip and a release."""

from __future__ import annotations

import re
import sys
import tomllib

import pytest

NEWEST = 15  # minor version of the newest Python


@pytest.fixture(scope="module")
def pyproject(root) -> dict:
    return tomllib.loads((root / "pyproject.toml").read_text())


def test_zcloop_needs_nothing_to_run(pyproject):
    assert pyproject["project"]["dependencies"] == []


def test_liburing_is_an_extra(pyproject):
    (needed,) = pyproject["project"]["optional-dependencies"]["liburing"]
    assert re.fullmatch(r"liburing>=[\d.]+", needed)


def test_the_advice_names_the_liburing_of_the_extra(pyproject, root):
    (needed,) = pyproject["project"]["optional-dependencies"]["liburing"]
    source = (root / "_native/ring/liburing.pyx").read_text()
    assert f"pip install --force-reinstall zcloop '{needed}'" in source


def test_each_python_that_is_named_has_a_wheel_and_no_other(pyproject):
    minors = [str(minor) for minor in range(11, NEWEST + 1)]
    project, wheels = pyproject["project"], pyproject["tool"]["cibuildwheel"]
    assert project["requires-python"] == f">=3.{minors[0]}"
    named = [
        classifier.rpartition(".")[2]
        for classifier in project["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", classifier)
    ]
    assert named == minors
    assert wheels["build"] == [f"cp3{minor}-*" for minor in minors]


def test_a_wheel_is_tested_by_a_program_that_is_there(pyproject, root):
    command = pyproject["tool"]["cibuildwheel"]["test-command"]
    assert "ZCLOOP_BACKEND=epoll" in command
    assert (root / command.rpartition("{project}/")[2]).is_file()


def test_the_smoke_test_needs_only_python_and_zcloop(root):
    text = (root / "tests/smoke.py").read_text()
    names = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    assert names - {"__future__", "zcloop"} <= sys.stdlib_module_names


def test_a_release_checks_the_version_where_it_stands(root):
    workflow = (root / ".github/workflows/release.yml").read_text()
    (pattern,) = re.findall(r'grep -qx "(.*)" meson.build', workflow)
    pattern = pattern.replace("${GITHUB_REF_NAME#v}", r"[\d.]+")
    lines = (root / "meson.build").read_text().splitlines()
    assert len([line for line in lines if re.fullmatch(pattern, line)]) == 1


def test_only_our_header_says_what_io_uring_is(root):
    """The system's <linux/io_uring.h> may be older than what we need, or not be there."""
    sources = [path for path in (root / "_native").rglob("*.p[xy][dx]") if path.is_file()]
    assert sources
    assert [
        str(path)
        for path in sources
        if re.search(r"^\s*#include <linux/(io_uring|time_types)", path.read_text(), re.MULTILINE)
    ] == []
