"""No file is longer than can be read at once, and no function is longer than a screen.

The lists of exceptions only shrink: what grows beyond its entry fails, and so does an entry that
nothing needs any more.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Mapping

import pytest
from sources import functions_of_cython, functions_of_python

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FOLDERS = ("_native", "bench", "examples", "tests", "zcloop")

FILES: dict[str, tuple[int, str]] = {}
FUNCTIONS: dict[str, tuple[int, str]] = {}


def offences(
    sizes: Mapping[str, int], size_max: int, exceptions: Mapping[str, tuple[int, str]]
) -> list[str]:
    """Return what is too long, what has outgrown its exception, and exceptions nobody needs."""
    allowed = {name: size for name, (size, _) in exceptions.items()}
    return [
        f"{name} has {size} lines, of at most {allowed.get(name, size_max)}"
        for name, size in sizes.items()
        if size > allowed.get(name, size_max)
    ] + [
        f"{name} needs no exception any more"
        for name in exceptions
        if sizes.get(name, 0) <= size_max
    ]


def check(found: list[str]) -> None:
    assert not found, "\n".join(["", *found])


def functions_of(name: str, text: str) -> Iterator[tuple[str, int]]:
    found = (functions_of_python if name.endswith(".py") else functions_of_cython)(text)
    # If several functions have one name, as a property's two halves do, the longest one counts.
    for one in sorted(found, key=lambda function: function.lines):
        yield f"{name}: {one.name}", one.lines


@pytest.fixture(scope="module")
def texts(root: pathlib.Path) -> dict[str, str]:
    suffixes = {".py", ".pyx", ".pxd", ".pyi", ".c", ".h"}
    return {
        path.relative_to(root).as_posix(): path.read_text()
        for folder in FOLDERS
        for path in sorted((root / folder).rglob("*"))
        if path.suffix in suffixes
    }


def test_no_file_is_longer_than_can_be_read_at_once(texts):
    sizes = {name: len(text.splitlines()) for name, text in texts.items()}
    assert len(sizes) > 400
    check(offences(sizes, FILE_LINES_MAX, FILES))


def test_no_function_is_longer_than_a_screen(texts):
    sizes = dict(
        function
        for name, text in texts.items()
        if name.endswith((".py", ".pyx", ".pxd"))
        for function in functions_of(name, text)
    )
    assert len(sizes) > 5000
    check(offences(sizes, FUNCTION_LINES_MAX, FUNCTIONS))


def test_what_is_too_long_or_has_grown_or_needs_no_exception_is_found():
    sizes = {"short": 3, "long": 11, "allowed": 12, "grown": 14, "mended": 10}
    exceptions = dict.fromkeys(("allowed", "grown", "mended", "gone"), (12, ""))
    assert offences(sizes, 10, exceptions) == [
        "long has 11 lines, of at most 10",
        "grown has 14 lines, of at most 12",
        "mended needs no exception any more",
        "gone needs no exception any more",
    ]


CYTHON = '''
cdef extern from "a.h":
    int declared(int a)

cdef class One(object):
    cdef int declared(self) except -1
    cdef (int, int) method(
        self, dict a={"b": (1, 2)},
    ) except *:
        """No longer:
than this."""
        cdef int number = other(3)

        if number:

            return (1, 2)   # cdef int hidden():

    @property
    def name(self):
        return "def none():"


cdef inline int *last(char *a) noexcept nogil: return NULL
cdef object outer():
    def inner():
        return 1
    return inner
'''

PYTHON = '''
class One:
    @property
    def name(self):
        """Text."""
        async def inner():
            pass

        return inner
'''


def test_functions_of_cython_are_measured():
    assert dict(functions_of("a.pyx", CYTHON)) == {
        "a.pyx: One.method": 10,
        "a.pyx: One.name": 2,
        "a.pyx: last": 1,
        "a.pyx: outer": 4,
        "a.pyx: inner": 2,
    }


def test_functions_of_python_are_measured():
    assert dict(functions_of("a.py", PYTHON)) == {"a.py: One.name": 7, "a.py: One.name.inner": 2}
