"""Every environment variable of ours is in a table of CONTRIBUTING.md or README.md."""

from __future__ import annotations

import pathlib
import re

import pytest

PREFIX = "ZCLOOP_"
VARIABLE = re.compile(rf"\b{PREFIX}[A-Z]+(?:_[A-Z]+)*\b")
READERS = (
    "_native", "bench", "examples", "tests", "zcloop", ".ci", ".github",
    "Makefile", "meson.build", "pyproject.toml",
)  # fmt: skip
TABLES = ("CONTRIBUTING.md", "README.md")


def named(text: str) -> set[str]:
    """Return the variables that a text names. Whoever names one owes the reader its meaning."""
    return set(VARIABLE.findall(text))


def explained(text: str) -> set[str]:
    """Return the variables in first cells of tables, in rows whose second cell is not empty."""
    rows = re.findall(r"^\|([^|]*)\|[^|\n]*\w[^|\n]*\|", text, re.MULTILINE)
    return {name for cell in rows for name in VARIABLE.findall(cell)}


def unexplained(sources: dict[str, str], tables: str) -> list[str]:
    return [
        f"{path} has {name}, which is in no table"
        for path, text in sources.items()
        for name in sorted(named(text) - explained(tables))
    ]


def unread(sources: dict[str, str], tables: str) -> list[str]:
    read = {name for text in sources.values() for name in named(text)}
    return sorted(explained(tables) - read)


@pytest.fixture(scope="module")
def sources(root: pathlib.Path) -> dict[str, str]:
    found = {}
    for reader in READERS:
        top = root / reader
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            is_text = path.suffix not in {".json", ".svg", ".pyc", ".so"}
            if path.is_file() and is_text:
                found[path.relative_to(root).as_posix()] = path.read_text(errors="replace")
    return found


@pytest.fixture(scope="module")
def tables(root: pathlib.Path) -> str:
    return "\n\n".join((root / name).read_text() for name in TABLES)


def test_every_variable_is_explained(sources, tables):
    assert unexplained(sources, tables) == []


def test_every_variable_that_is_explained_is_read(sources, tables):
    assert unread(sources, tables) == []


def test_a_variable_that_no_table_explains_is_found():
    sources = {"a.py": f'os.environ["{PREFIX}ONE"]', "b.sh": f"export {PREFIX}TWO_THREE=1"}
    tables = f"| `{PREFIX}ONE` | what it does |\n| `{PREFIX}TWO_THREE` | |\n`{PREFIX}TWO_THREE`"
    assert unexplained(sources, tables) == [f"b.sh has {PREFIX}TWO_THREE, which is in no table"]


def test_a_variable_that_nothing_reads_any_more_is_found():
    assert unread({"a.py": f"{PREFIX}ONE"}, f"| `{PREFIX}OLD`, `{PREFIX}ONE` | text |") == [
        f"{PREFIX}OLD"
    ]
