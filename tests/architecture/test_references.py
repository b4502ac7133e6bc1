"""What comments and docstrings refer to is there: files, tests, and members of our classes. In
Markdown, so are tests, members, and the functions that a table names after their file."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Mapping

import pytest
from references import ELSEWHERE, Tree, files_of, missing_files
from sources import masked, prose_of

CODE = (".py", ".pyx", ".pxd", ".pyi", ".c", ".h")
SETTINGS = (".sh", ".yml", ".toml", ".build", "Makefile")

# Words for a file, CPython's tests, and tests of which a guide tells the reader.
FILES_ELSEWHERE = {"PAGE.md": "a word for the page that the command line names"}
CPYTHONS = {
    "test_asyncio", "test_base_events", "test_buffered_proto", "test_futures", "test_pep492",
    "test_runners", "test_timeout", "test_utils",
}  # fmt: skip
READERS = {"test_every_view_is_released"}

TEST = re.compile(r"\btest_\w*[a-z0-9]\b(?!\*)")
MEMBER = re.compile(r"`([A-Z]\w+)\.(\w+)(?:\(\))?`")
LISTED = re.compile(r"`([\w/]+\.p[yx][xd]?)`: ((?:`\w+`(?:, )?)+)")
DEFINED = r"\b(?:def|cdef|cpdef) [^\n(=]*?\b{}\("


def missing_tests(name: str, text: str, tests: set[str]) -> list[str]:
    named = set(TEST.findall(text)) - tests - CPYTHONS - READERS
    return [f"{name} names {test}, which is no test" for test in sorted(named)]


def missing_members(name: str, text: str, words: Mapping[str, set[str]]) -> list[str]:
    """Return each `Class.member` in backquotes that the files of the class do not have."""
    return [
        f"{name} names {cls}.{member}, which is not there"
        for cls, member in sorted(set(MEMBER.findall(text)))
        if cls in words and member not in words[cls]
    ]


def missing_functions(name: str, text: str, texts: Mapping[str, str]) -> list[str]:
    """Return functions of "`loop/core.pyx`: `turn`, `look`" that the file does not define."""
    return [
        f"{name} names {function} of {path}, which is not there"
        for path, listed in LISTED.findall(text)
        for function in re.findall(r"\w+", listed)
        if not any(
            re.search(DEFINED.format(function), one)
            for file, one in texts.items()
            if f"/{file}".endswith(f"/{path}")
        )
    ]


def words_of_classes(code: Mapping[str, str]) -> dict[str, set[str]]:
    """Return every name in the files of each class, and in the files of its bases."""
    bases: dict[str, set[str]] = {}
    files: dict[str, set[str]] = {}
    for path, text in code.items():
        for name, listed in re.findall(r"\bclass (\w+)(?:\(([^)]*)\))?", text):
            bases.setdefault(name, set()).update(re.findall(r"\w+", listed))
            files.setdefault(name, set()).add(path)
    words = {path: set(re.findall(r"\w+", text)) for path, text in code.items()}

    def files_with_bases(name: str, seen: frozenset[str]) -> set[str]:
        found = set(files.get(name, ()))
        for base in bases.get(name, set()) - seen:
            found |= files_with_bases(base, seen | {base})
        return found

    return {
        name: set().union(*(words[path] for path in files_with_bases(name, frozenset({name}))))
        for name in files
    }


@pytest.fixture(scope="module")
def tree(root: pathlib.Path) -> Tree:
    return Tree(frozenset(files_of(root)), frozenset())


@pytest.fixture(scope="module")
def texts(root: pathlib.Path, tree: Tree) -> dict[str, str]:
    names = [name for name in sorted(tree.files) if name.endswith((*CODE, *SETTINGS, ".md"))]
    return {name: (root / name).read_text() for name in names}


@pytest.fixture(scope="module")
def code(texts: dict[str, str]) -> dict[str, str]:
    """The files below _native/ and zcloop/, without prose."""
    tops = ("_native/", "zcloop/")
    return {name: masked(text) for name, text in texts.items() if name.startswith(tops)}


@pytest.fixture(scope="module")
def prose(texts: dict[str, str]) -> dict[str, str]:
    """The comments and docstrings of every file, and the whole text of a document."""

    def said(name: str, text: str) -> Iterator[str]:
        if name.endswith(".md"):
            yield text
        elif name.endswith(CODE):
            yield from prose_of(name, text)
        else:
            yield from re.findall(r"#[^\n]*", text)

    return {name: "\n".join(said(name, text)) for name, text in texts.items()}


def test_files_that_comments_name_are_there(prose, tree):
    found = [
        one
        for name, text in prose.items()
        if not name.endswith(".md")
        for one in missing_files(name, text, tree)
        if not any(f" names {word}," in one for word in (*FILES_ELSEWHERE, *ELSEWHERE))
    ]
    assert found == []


def test_tests_that_are_named_are_there(prose, texts, tree):
    tests = {pathlib.PurePath(path).stem for path in (*tree.files, *tree.folders)}
    for text in texts.values():
        tests.update(re.findall(r"\bdef (test_\w+)", text))
    assert len(tests) > 1000
    assert [one for name, text in prose.items() for one in missing_tests(name, text, tests)] == []


def test_members_that_are_named_are_there(prose, code):
    words = words_of_classes(code)
    assert len(words) > 150
    assert [one for name, text in prose.items() for one in missing_members(name, text, words)] == []


def test_functions_that_documents_name_after_their_file_are_there(prose, texts):
    documents = {name: text for name, text in prose.items() if name.endswith(".md")}
    assert LISTED.search(documents["ARCHITECTURE.md"])
    found = [missing_functions(name, text, texts) for name, text in documents.items()]
    assert [one for some in found for one in some] == []


def test_a_test_that_is_not_there_is_found():
    text = "See test_here, test_gone, `tests/unit/test_file*.py`, test_*_more and test_asyncio."
    assert missing_tests("a.py", text, {"test_here"}) == ["a.py names test_gone, which is no test"]


def test_a_member_that_is_not_there_is_found():
    code = {"a.pyx": "cdef class Way:\n    cdef int go", "b.py": "class Road(Way):\n    stay = 1"}
    text = "`Road.go`, `Road.stay()`, `Way.stay`, `Other.none`, Way.bare and `Road.gone()`"
    assert missing_members("a.md", text, words_of_classes(code)) == [
        "a.md names Road.gone, which is not there",
        "a.md names Way.stay, which is not there",
    ]


def test_a_function_that_its_file_does_not_have_is_found():
    code = {
        "_native/a/way.pyx": "    cdef int go(self) except -1",
        "_native/b/way.pyx": "def stay(",
    }
    text = "| step | `a/way.pyx`: `go`, `stay`; `way.pyx`: `stay` |"
    assert missing_functions("a.md", text, code) == [
        "a.md names stay of a/way.pyx, which is not there"
    ]


PLANTED = '''
cdef extern from "a.h":
    """
    /* C */
    """
# A comment.
cdef int a = f("no prose")   # beside
def b():
    """A docstring."""
'''


def test_prose_is_told_from_code():
    said = ["# A comment.", "# beside", '"""A docstring."""']
    assert list(prose_of("a.pyx", PLANTED)) == said
    assert list(prose_of("a.py", 'x = "no"  # beside\n"""Said."""\n')) == ["# beside", "Said."]
    assert list(prose_of("a.c", "int a; // beside\n/* a\n b */")) == ["// beside", "/* a\n b */"]
