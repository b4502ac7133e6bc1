"""What is declared is used: names in Cython, and what tests/helpers offers.

Names are compared, not what they stand for: a field that nothing uses is not found while another
one of its name is used. That is quick, and it finds what was left behind.
"""

from __future__ import annotations

import ast
import pathlib
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping

import pytest
from ratchets import check_list
from sources import IMPORT, Declaration, declarations, masked

UNUSED = {
    "_native/operation/message.pxd: control": "it keeps alive what `header` points to",
}

MEMBER = re.compile(r"(?:\.|->)\s*(\w+)")
ASSIGNED = re.compile(r"\.\s*(\w+)\s*(?:[-+*/|&]|<<|>>)?=(?!=)")


def unused(native: Mapping[str, str], python: Collection[str]) -> list[str]:
    """Return declarations of Cython that no code uses: functions that nobody calls, fields that
    nobody reads. Python code may use those that it can see. The name of an enum needs no use. A
    field of a C structure is used if somebody writes to it."""
    declared = {path: list(declarations(text)) for path, text in native.items()}
    codes = [IMPORT.sub("", masked(text, keeps_c=True)) for text in native.values()]
    words = Counter(word for code in codes for word in re.findall(r"\w+", code))
    words.subtract(one.name for some in declared.values() for one in some)
    members = Counter(word for code in codes for word in MEMBER.findall(code))
    read = Counter(members)
    read.subtract(word for code in codes for word in ASSIGNED.findall(code))
    seen = {word for text in python for word in re.findall(r"\w+", text)}

    def is_used(one: Declaration) -> bool:
        if one.kind == "enum" or one.name.startswith("__") or (one.is_visible and one.name in seen):
            return True
        if one.kind == "field":
            return (members if one.is_c else read)[one.name] > 0
        return (members if one.kind == "method" else words)[one.name] > 0

    return sorted(
        {
            f"{path}: {one.name}"
            for path, some in declared.items()
            for one in some
            if not is_used(one)
        }
    )


def unused_in_tests(tests: Mapping[str, str], helpers: Collection[str]) -> list[str]:
    """Return fixtures that no test asks for, and what helpers define and no code uses."""
    trees = {path: ast.parse(text) for path, text in tests.items()}
    words = Counter(word for tree in trees.values() for word in _words(tree))
    return sorted(
        f"{path}: {name}"
        for path, tree in trees.items()
        for name, is_fixture in _offered(tree)
        if (is_fixture or path in helpers) and not words[name]
    )


def _offered(module: ast.Module) -> Iterator[tuple[str, bool]]:
    """Yield the names of a module's functions, classes and constants, and whether each is a
    fixture. Fixtures that pytest applies by itself are left out."""
    for node in module.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            marks = [ast.unparse(one) for one in node.decorator_list]
            fixtures = [mark for mark in marks if mark.startswith("pytest.fixture")]
            if "autouse=True" not in "".join(fixtures):
                yield node.name, bool(fixtures)
        elif isinstance(node, ast.ClassDef):
            yield node.name, False
        elif isinstance(node, ast.Assign):
            names = [name for target in node.targets for name in ast.walk(target)]
            yield from ((name.id, False) for name in names if isinstance(name, ast.Name))


def _words(module: ast.Module) -> Iterator[str]:
    """Yield each name in use: as a name, an attribute, an argument, or a word in a string."""
    for node in ast.walk(module):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.alias(name=name):
                yield name
            case ast.Constant(value=str(text)):
                yield from re.findall(r"\w+", text)


@pytest.fixture(scope="module")
def python(root: pathlib.Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for folder in ("bench", "examples", "tests", "zcloop")
        for path in sorted((root / folder).rglob("*.py"))
    }


def test_what_is_declared_is_used(root, python):
    paths = sorted((root / "_native").rglob("*.p[xy][dx]"))
    native = {path.relative_to(root).as_posix(): path.read_text() for path in paths}
    assert len(native) > 200
    outside = [text for path, text in python.items() if not path.startswith("tests/architecture")]
    check_list(unused(native, outside), UNUSED)


def test_what_tests_share_is_used(python):
    tests = {path: text for path, text in python.items() if path.startswith("tests/")}
    helpers = [path for path in tests if path.startswith("tests/helpers/")]
    assert helpers
    assert unused_in_tests(tests, helpers) == []


HEADER = '''
from a.b cimport imported

cdef extern from "a.h" nogil:
    """
    static inline int by_c(int a) { return used_by_c(a); }
    """
    enum:
        USED, UNUSED "zc_UNUSED"
    struct layout:
        int written
        int never
    int by_c(int a)
    int used_by_c(int a)
    int called(layout *a)
    int forgotten(int a)

ctypedef int (*Work)(int a) noexcept

cdef enum State:
    ON
    OFF = 1

cdef class One:
    cdef readonly int shown
    cdef readonly int hidden
    cdef int kept, lost
    cdef dict only_written[2]
    cdef int method(self) except -1
    cdef int gone(self) except -1
'''
BODY = '''
cdef dict TABLE = {"a": USED}
cdef dict SPARE = {}

cdef class One:
    cdef int method(self) except -1:
        """Not used: SPARE, UNUSED, OFF, gone()."""
        cdef layout local
        local.written = by_c(called(&local))
        self.only_written = self.kept
        return self.method() + ON

    cdef int gone(self) except -1:
        raise ValueError(f"gone {TABLE[0]}")
'''


def test_a_declaration_that_nothing_uses_is_found():
    assert unused({"a.pxd": HEADER, "a.pyx": BODY}, ["one.shown"]) == [
        "a.pxd: OFF",
        "a.pxd: UNUSED",
        "a.pxd: Work",
        "a.pxd: forgotten",
        "a.pxd: gone",
        "a.pxd: hidden",
        "a.pxd: lost",
        "a.pxd: never",
        "a.pxd: only_written",
        "a.pyx: SPARE",
        "a.pyx: gone",
    ]


def test_a_helper_or_a_fixture_that_no_test_uses_is_found():
    helper = """
LIMIT, SPARE = 1, 2

def used(): return LIMIT
def spare(): return used()
class Spare: ...
"""
    test = """
from helper import used

@pytest.fixture
def asked(): ...

@pytest.fixture(scope="module")
def forgotten(): ...

@pytest.fixture(autouse=True)
def always(): ...

def test_it(asked): used()
"""
    assert unused_in_tests({"helper.py": helper, "test.py": test}, ["helper.py"]) == [
        "helper.py: SPARE",
        "helper.py: Spare",
        "helper.py: spare",
        "test.py: forgotten",
    ]
