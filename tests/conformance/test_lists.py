"""The lists of tests that are not run stay short, true and reasoned."""

import importlib
import pkgutil
import sys
import unittest

import pytest
from harness import internals, modules
from harness.worker import flatten
from skips import ENTRIES_MAX, SKIPS

if not modules.suite_is_installed():
    pytest.skip("this Python comes without test.test_asyncio", allow_module_level=True)

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def suite() -> dict[str, unittest.TestCase]:
    """All tests of this Python version by their ids."""
    loader = unittest.TestLoader()
    loaded = (importlib.import_module(f"{modules.PACKAGE}.{name}") for name in modules.present())
    return {
        modules.short_id(test): test
        for module in loaded
        for test in flatten(loader.loadTestsFromModule(module))
    }


def test_skips_are_few() -> None:
    assert len(SKIPS) <= ENTRIES_MAX


def test_skips_have_reasons() -> None:
    for skip in SKIPS.values():
        assert len(skip.reason.split()) >= 4
        assert skip.versions


def test_skips_exist_in_the_versions_they_name(suite: dict[str, unittest.TestCase]) -> None:
    missing = [
        name for name, skip in SKIPS.items() if VERSION in skip.versions and name not in suite
    ]
    assert missing == []


def test_skips_are_not_internals_too(suite: dict[str, unittest.TestCase]) -> None:
    twice = [name for name in SKIPS if name in suite and internals.is_internal(suite[name])]
    assert twice == []


@pytest.mark.parametrize("entry", internals.ENTRIES, ids=lambda entry: entry.pattern)
def test_entry_of_internals_has_tests_that_touch_what_it_says(
    entry: internals.Internals, suite: dict[str, unittest.TestCase]
) -> None:
    found = [test_id for test_id, test in suite.items() if entry.covers(test)]
    assert bool(found) == (sys.version_info >= entry.since)
    assert len(entry.reason.split()) >= 4


def test_internals_are_a_small_part(suite: dict[str, unittest.TestCase]) -> None:
    left_out = [test_id for test_id, test in suite.items() if internals.is_internal(test)]
    assert len(left_out) <= len(suite) // 40


def test_no_module_of_the_suite_is_overlooked() -> None:
    """A version that adds a module must have it listed, or ruled out by name."""
    package = importlib.import_module(modules.PACKAGE)
    listed = (name for _, name, _ in pkgutil.iter_modules(package.__path__))
    found = {name for name in listed if name.startswith("test_")}
    assert found <= {*modules.NAMES, *modules.RULED_OUT}
