"""One verb has one meaning: verbs of CONTRIBUTING.md's table stand only where it says."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator, Mapping

import pytest
from ratchets import check_list
from sources import declarations, functions_of_cython, functions_of_python, masked

# What ends is closed, whatever it is.
EVERYWHERE = {"close"}

OTHERS = {
    "_native/ipc/receive_sysv.pyx: wait": "a call of the kernel that waits, in a thread",
    "DatagramFlow: leave": "it ends a run",
    "Healer: cancel": "it stops a timer",
    "Lender: starve": "it copies what finds no free block",
    "Newest: start": "it begins to drain",
    "Reading: wait": "it notes what a coroutine waits for",
    "SocketHolder: leave": "it lets go of a socket",
    "StreamInput: wait": "it notes what a coroutine waits for",
}
"""Verbs with another meaning. The list only shrinks."""


def verbs_of(text: str) -> dict[str, list[str]]:
    """Return the verbs of the table, each with the classes, files and folders that it names as
    owners. A verb may stand in several rows."""
    table = re.search(r"^\| verb \|.*\n\|[-|]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    found: dict[str, list[str]] = {}
    for row in table[1].splitlines() if table else []:
        verbs, _, owners = row.strip("|").split("|")
        for verb in re.findall(r"`(\w+)`", verbs):
            found.setdefault(verb, []).extend(
                re.findall(r"`([A-Z]\w+|[\w/]+\.py\w?|zcloop\.[\w.]+|[a-z]\w+/?)`", owners)
            )
    return found


def unknown(verbs: Mapping[str, list[str]], code: str) -> list[str]:
    """Return verbs that are the name of no function, and owners that are no class."""
    functions = set(re.findall(r"\b(?:def|cdef|cpdef) [^\n(=]*?(\w+)\(", code))
    classes = set(re.findall(r"\bclass (\w+)", code))
    owners = {owner for some in verbs.values() for owner in some if owner[0].isupper()}
    return sorted({*verbs} - functions) + sorted(owners - classes)


def drifted(verbs: Mapping[str, list[str]], texts: Mapping[str, str]) -> list[str]:
    """Return functions that have the name of a verb and do not belong to its owners. A class
    belongs to an owner if it is the owner, derives from it, or is one of its bases."""
    kin = kin_of(texts)
    return sorted(
        {
            f"{owner}: {name}"
            for path, text in texts.items()
            for owner, name in functions_of(path, text)
            if name in verbs
            if not any(owns(one, owner, path, kin) for one in verbs[name])
        }
    )


def owns(named: str, owner: str, path: str, kin: Mapping[str, set[str]]) -> bool:
    """Whether the owner that the table names is this class, its kin, the file, its module of
    zcloop/, or its folder."""
    if named.startswith("zcloop."):
        return f"/{stem_of(path)}/".startswith(f"/{named.replace('.', '/')}/")
    if "." in named:
        return stem_of(path).endswith(stem_of(named))
    if named[0].islower():
        return f"/{named.rstrip('/')}/" in path
    return owner in kin.get(named, {named})


def stem_of(path: str) -> str:
    """Return the path without its suffix: a .pxd and its .pyx are one module."""
    return path.rpartition(".")[0]


def functions_of(path: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield each function as its class, or its file, and its name; declarations count, too."""
    for one in (functions_of_python if path.endswith(".py") else functions_of_cython)(text):
        *outer, name = one.name.split(".")
        yield outer[-1] if outer else path, name
    if path.endswith(".pxd"):
        for declared in declarations(text):
            if declared.kind in ("function", "method"):
                yield declared.owner or path, declared.name


def kin_of(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """Return for each class the class itself, what derives from it, and what it derives from."""
    bases: dict[str, set[str]] = {}
    for text in texts.values():
        for name, listed in re.findall(r"\bclass (\w+)(?:\(([^)]*)\))?", masked(text)):
            bases.setdefault(name, set()).update(re.findall(r"\w+", listed))

    def add_ancestors(name: str, found: set[str]) -> set[str]:
        found.add(name)
        for base in bases.get(name, set()) - found:
            add_ancestors(base, found)
        return found

    # All derive from `object`, which makes none of them kin.
    above = {name: add_ancestors(name, set()) - {"object"} for name in bases}
    return {
        name: above[name] | {other for other, some in above.items() if name in some}
        for name in bases
    }


@pytest.fixture(scope="module")
def verbs(root: pathlib.Path) -> dict[str, list[str]]:
    return verbs_of((root / "CONTRIBUTING.md").read_text())


@pytest.fixture(scope="module")
def texts(root: pathlib.Path) -> dict[str, str]:
    paths = [*(root / "_native").rglob("*.p[xy][dx]"), *(root / "zcloop").rglob("*.py")]
    return {path.relative_to(root).as_posix(): path.read_text() for path in sorted(paths)}


def test_verbs_and_their_owners_are_in_the_code(verbs, texts):
    assert len(verbs) > 20
    assert unknown(verbs, "\n".join(masked(text) for text in texts.values())) == []


def test_verbs_stand_only_where_the_table_says(verbs, texts):
    compared = {verb: owners for verb, owners in verbs.items() if verb not in EVERYWHERE}
    check_list(drifted(compared, texts), OTHERS)


def test_a_verb_or_an_owner_that_the_code_does_not_have_is_found():
    text = (
        "| verb | a | b |\n|---|---|---|\n| `go`, `come` | x | `Road` (`go`) |\n"
        "| `go`, `come` | y | `Way`, `roads`, `a.py` |\n\n`see`"
    )
    code = "class Road:\n    cdef int go(self) except -1\n\ndef way(): ...\n"
    owners = ["Road", "go", "Way", "roads", "a.py"]
    assert verbs_of(text) == {"go": owners, "come": owners}
    assert unknown(verbs_of(text), code) == ["come", "Way"]


def test_a_verb_on_another_class_or_in_another_file_is_found():
    texts = {
        "native/a.pxd": """
cdef class Way:
    cdef int go(self)

cdef class Car:
    cdef int go(self)
""",
        "native/b.pyx": """
cdef class Road(Way):
    def go(self):
        pass

def go():
    pass
""",
        "native/c.py": """
class Path(Road):
    def go(self): ...

class Car:
    go = 1

def go(): ...
""",
    }
    assert drifted({"go": ["Road", "native/c.py"]}, texts) == ["Car: go", "native/b.pyx: go"]
    assert drifted({"go": ["zcloop.a"]}, {"zcloop/a/b.py": "def go(): ..."}) == []
    assert drifted({"go": ["zcloop.a"]}, {"zcloop/ab.py": "def go(): ..."}) != []
    assert drifted({"go": ["Road", "native/"]}, {"far/native/a.pxd": texts["native/a.pxd"]}) == []
