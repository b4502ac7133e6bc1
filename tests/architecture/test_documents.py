"""What Markdown refers to is there: files, make targets, modules, links and their anchors."""

from __future__ import annotations

import pathlib
import posixpath
import re
import tomllib
from collections.abc import Iterable

import pytest
from references import (
    ELSEWHERE,
    Tree,
    anchors_of,
    blocks_of,
    files_of,
    links_of,
    missing_files,
    spans_of,
    targets_of,
)

MAKE = re.compile(
    r"(?:^|&&|\|\||[;$]|\bsudo\b)[ \t]*(?:[A-Z_]+=\S+[ \t]+)*make[ \t]+([^\n]*)",
    re.MULTILINE,
)
MODULE = re.compile(r"\bpython[\d.]* (?:-[A-Z] )?-m ((?:bench|tests|zcloop)(?:\.\w+)*)")


def missing_targets(name: str, text: str, tree: Tree) -> list[str]:
    found = []
    for code in (*blocks_of(text), *spans_of(text)):
        for command in MAKE.findall(re.sub(r"(?:^|\s)#.*", "", code, flags=re.MULTILINE)):
            for word in command.split():
                if re.fullmatch(r"[A-Z_]+=\S*|-.*", word):
                    continue
                if not re.fullmatch(r"[a-z][a-z0-9-]*", word):
                    break
                if word not in tree.targets:
                    found.append(f"{name} says `make {word}`, which the Makefile does not have")
    return found


def missing_modules(name: str, text: str, tree: Tree) -> list[str]:
    return [
        f"{name} runs {module}, which is no module"
        for module in dict.fromkeys(MODULE.findall(text))
        if not {
            module.replace(".", "/") + ".py",
            module.replace(".", "/") + "/__main__.py",
        }
        & tree.files
    ]


def broken_links(name: str, texts: dict[str, str], tree: Tree) -> list[str]:
    """Return links to files that are not there, or to anchors that their document does not have.
    Links to this repository's main branch on the web are looked up in the tree, too."""
    found = []
    for link in links_of(texts[name]):
        target = re.sub(rf"^{re.escape(tree.homepage)}/(?:blob|tree)/main/", "/", link)
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        folder = "" if path.startswith("/") else posixpath.dirname(name)
        aim = posixpath.normpath(posixpath.join(folder, path.lstrip("/"))) if path else name
        if aim not in tree.files | tree.folders:
            found.append(f"{name} links to {link}: there is no {aim}")
        elif anchor and aim in texts and anchor not in anchors_of(texts[aim]):
            found.append(f"{name} links to {link}: {aim} has no such heading")
    return found


@pytest.fixture(scope="module")
def tree(root: pathlib.Path) -> Tree:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return Tree(
        frozenset(files_of(root)),
        frozenset(targets_of((root / "Makefile").read_text())),
        project["urls"]["Homepage"],
    )


@pytest.fixture(scope="module")
def documents(root: pathlib.Path, tree: Tree) -> dict[str, str]:
    """Every Markdown file by its path."""
    return {name: (root / name).read_text() for name in sorted(tree.files) if name.endswith(".md")}


def all_of(found: Iterable[list[str]]) -> list[str]:
    return [one for some in found for one in some]


def test_files_that_documents_name_are_there(documents, tree):
    assert all_of(missing_files(name, text, tree) for name, text in documents.items()) == []


def test_make_has_the_targets_that_documents_name(documents, tree):
    assert all_of(missing_targets(name, text, tree) for name, text in documents.items()) == []


def test_modules_that_documents_run_are_there(documents, tree):
    assert all_of(missing_modules(name, text, tree) for name, text in documents.items()) == []


def test_links_and_their_anchors_resolve(documents, tree):
    assert all_of(broken_links(name, documents, tree) for name in documents) == []


def test_what_is_excepted_is_still_named(documents):
    everything = "".join(documents.values())
    assert [word for word in ELSEWHERE if word not in everything] == []


# ---- each check finds a planted offender ---------------------------------------------------------

PLANTED = Tree(
    frozenset({"README.md", "docs/guide.md", "tests/unit/test_end_of_file.py", "bench/table.py"}),
    frozenset({"check", "test"}),
)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("PLAN.md says so, and [this](none.md).", ["PLAN.md"]),
        ("`tests/unit/test_gone.py`, `_of_file.py`", ["tests/unit/test_gone.py"]),
        ("`test_*_file.py`, `unit/` and `tests/fault/`.", ["tests/fault/"]),
        ("    python bench/plot.py > out.json\n", ["bench/plot.py"]),
        ("```\npython bench/table.py\ncat mine.py bench/none\n```\n", ["bench/none"]),
        ("`<linux/io.h>`, https://example.org/tests/gone.py, `/etc/none.sh`, `build/a.md`", []),
    ],
)
def test_a_file_that_is_not_there_is_found(text, missing):
    expected = [f"docs/guide.md names {word}, which is not there" for word in missing]
    assert missing_files("docs/guide.md", text, PLANTED) == expected


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("`make check`, `make PYTHON=python3 test`, to make haste", []),
        ("```\napt-get install make gcc\nmake check docs   # make sure\n```\n", ["docs"]),
        ("\n\n    CC=clang make -j2 lint\n", ["lint"]),
    ],
)
def test_a_target_that_make_does_not_have_is_found(text, missing):
    expected = [f"a.md says `make {word}`, which the Makefile does not have" for word in missing]
    assert missing_targets("a.md", text, PLANTED) == expected


def test_a_module_that_is_not_there_is_found():
    text = "`python -m bench.table`, `python3 -P -m bench.chair`, `python -m pytest`"
    assert missing_modules("a.md", text, PLANTED) == ["a.md runs bench.chair, which is no module"]


def test_a_link_that_leads_nowhere_is_found():
    texts = {
        "README.md": "# Us\n\n## When `not` to use it\n\n## Twice\n\n## Twice\n",
        "docs/guide.md": "\n".join(
            [
                "[a](../README.md#when-not-to-use-it) [b](../README.md#twice-1) [c](#here)",
                "## Here",
                "[d](../README.md#when) [e](README.md) ![f](/bench/table.py) `[g](nothing)`",
                f'<img src="none.svg"> [h]({PLANTED.homepage}/blob/main/LICENSE)',
                "[i]: ../bench",
                "[j]: https://example.org/none",
            ]
        ),
    }
    assert broken_links("docs/guide.md", texts, PLANTED) == [
        "docs/guide.md links to ../README.md#when: README.md has no such heading",
        "docs/guide.md links to README.md: there is no docs/README.md",
        f"docs/guide.md links to {PLANTED.homepage}/blob/main/LICENSE: there is no LICENSE",
        "docs/guide.md links to none.svg: there is no docs/none.svg",
    ]


def test_the_targets_of_a_makefile_are_read():
    makefile = "PYTHON := a\nbuild-32: x  ## say\n\ttouch b: c\ntest refused: export A ?= b\n"
    assert set(targets_of(makefile)) == {"build-32", "test", "refused"}
