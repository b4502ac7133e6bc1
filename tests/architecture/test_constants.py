"""Each constant says what it is, or why it is that large: in its line, or above its group."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator

import pytest
from ratchets import check_list
from sources import declarations, masked

UNEXPLAINED: dict[str, str] = {}
"""By file: constants that nothing explains yet. The list only shrinks."""

CONSTANT = re.compile(r"^(?:cdef [\w ]*?[ *])?_?(?P<name>[A-Z][A-Z0-9_]*)\b[^=(]*=(?!=)")


def constants_of(path: str, text: str) -> Iterator[tuple[str, int]]:
    """Yield name and line of each constant of a module: ALL_CAPS, and values of its enums. What a
    C header defines is left out: its name explains it."""
    lines = masked(text).splitlines()
    for number, line in enumerate(lines, 1):
        if found := CONSTANT.match(line):
            yield found["name"], number
    if path.endswith((".pyx", ".pxd")):
        for one in declarations(text):
            if one.kind == "constant" and not one.is_c and lines[one.line - 1].startswith(" "):
                yield one.name, one.line


def is_explained(lines: list[str], code: list[str], number: int) -> bool:
    """Whether a comment stands in the line, or above the lines that no blank line divides from it.
    In Python a string below it counts, too."""
    for end in range(number - 1, len(lines)):
        if "#" in lines[end][len(code[end].rstrip()) :]:
            return True
        if not code[end].rstrip().endswith(("(", "[", "{", ",", "\\")):
            break
    if end + 1 < len(lines) and lines[end + 1].startswith('"""'):
        return True
    for place in range(number - 2, -1, -1):
        if not lines[place].strip():
            return False
        if lines[place].strip().startswith("#"):
            return True
    return False


def unexplained(path: str, text: str) -> list[str]:
    lines, code = text.splitlines(), masked(text).splitlines()
    return [
        f"{path}: {name}"
        for name, number in constants_of(path, text)
        if not is_explained(lines, code, number)
    ]


@pytest.fixture(scope="module")
def texts(root: pathlib.Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for folder in ("_native", "zcloop")
        for path in sorted((root / folder).rglob("*.p[xy]*"))
        if path.suffix in {".py", ".pyx", ".pxd"}
    }


def test_each_constant_says_what_it_is(texts):
    assert sum(len(list(constants_of(path, text))) for path, text in texts.items()) > 300
    listed = {f"{path}: {name}" for path, names in UNEXPLAINED.items() for name in names.split()}
    found = {one for path, text in texts.items() for one in unexplained(path, text)}
    check_list(found, listed)


PLANTED = '''
# Bytes.
cdef size_t ABOVE_SIZE = 4096
cdef unsigned IN_ITS_GROUP = 2

cdef unsigned BESIDE = 3        # tries
cdef unsigned BARE = 4
_TABLE = {
    "a": 1,     # of a
}
_BARE_TABLE = {
    "a": "# no comment",
}

cdef extern from "a.h":
    enum:
        KERNELS_OWN

cdef enum:
    FIRST = 1   # the first
    SECOND

cdef enum:
    THIRD
    variable = 1
cdef int lower = 5
cdef object CALLED(int a): return a == 1
BELOW = 6
"""Said below."""
'''


def test_a_constant_without_a_word_is_found():
    assert sorted(unexplained("a.pyx", PLANTED)) == [
        "a.pyx: BARE",
        "a.pyx: BARE_TABLE",
        "a.pyx: SECOND",
        "a.pyx: THIRD",
        "a.pyx: variable",
    ]


def test_a_list_of_exceptions_only_shrinks():
    check_list(["one", "two"], ["two", "one"])
    with pytest.raises(AssertionError) as caught:
        check_list(["new", "kept"], ["kept", "mended"])
    assert str(caught.value).splitlines()[1:3] == [
        "new breaks the rule",
        "mended keeps the rule: take it off the list",
    ]
