"""A native function that Python can call takes no None for a native object: Cython would read the
fields of None, and end the process."""

from __future__ import annotations

import re
from collections.abc import Collection

import pytest

FUNCTION = re.compile(
    r"^ *(?:async )?(?:def|cpdef)\s+[^\n(]*?(?P<name>\w+)"
    r"\((?P<arguments>(?:[^()]|\([^()]*\))*)\)",
    re.MULTILINE,
)


def kinds_of(code: str) -> set[str]:
    return set(re.findall(r"^cdef class (\w+)", code, re.MULTILINE))


def none_takers(code: str, kinds: Collection[str]) -> list[str]:
    """The arguments of these kinds, of functions that Python can call, that may be None."""
    found = []
    for function in FUNCTION.finditer(code):
        for argument in function["arguments"].split(","):
            words = argument.split()
            if len(words) > 1 and words[0] in kinds and words[-2:] != ["not", "None"]:
                found.append(f"{function['name']}: {' '.join(words)}")
    return found


@pytest.fixture(scope="module")
def kinds(native) -> set[str]:
    return {kind for module in native.values() for kind in kinds_of(module.code)}


def test_no_native_function_reads_the_fields_of_none(native, kinds):
    assert len(kinds) > 50
    found = [one for module in native.values() for one in none_takers(module.code, kinds)]
    assert found == ["__cinit__: Pool pool=None"]


def test_an_argument_that_may_be_none_is_found():
    planted = """
cdef class Thing:
    cdef int hidden(self, Thing other) except -1
    def seen(self, Thing other, int count): ...
    cpdef int both(self, Thing other not None) except -1: ...
    async def awaited(self, int count, Thing other=None): ...
"""
    assert kinds_of(planted) == {"Thing"}
    assert none_takers(planted, {"Thing"}) == ["seen: Thing other", "awaited: Thing other=None"]
