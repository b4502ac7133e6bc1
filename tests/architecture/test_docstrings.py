"""Whatever a program can reach without an underscore says what it does, and what it raises."""

from __future__ import annotations

import functools
import importlib
import inspect
import pathlib
import pkgutil
import re
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from ratchets import check_list
from sources import declarations, functions_of_cython, functions_of_python, masked

import zcloop

ROOT = pathlib.Path(__file__).resolve().parents[2]

# They say that zcloop finds its own books wrong, or that a class is for others to derive from.
NO_PROMISE = {"InvariantError", "NotImplementedError"}

# The first is asyncio's own method, which has none there. The others are fields of a native class,
# which can have none, and are not for programs.
UNDOCUMENTED = {
    "zcloop.Loop": "create_unix_connection channel contexts",
}
"""By class or module: names that have no docstring. The list only shrinks."""

UNNAMED: dict[str, str] = {}
"""By function: errors that its docstring does not name yet. The list only shrinks."""

PROPERTIES = (property, types.GetSetDescriptorType, types.MemberDescriptorType)
RAISED = re.compile(r"\braise (?:\w+\.)?([A-Z]\w*)")


@dataclass(frozen=True)
class Name:
    """Something public, by its path from the module: `zcloop.Loop.call_at`."""

    path: str
    value: Any
    cls: type | None = None
    """The class that it is reached by, and the one that defines it."""
    owner: type | None = None


def modules() -> Iterator[types.ModuleType]:
    """The modules that a program may import."""
    yield zcloop
    for found in pkgutil.walk_packages(zcloop.__path__, "zcloop."):
        is_private = any(part.startswith("_") for part in found.name.split("."))
        if not is_private:
            yield importlib.import_module(found.name)


def is_ours(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).partition(".")[0] == "zcloop"


def names_of(module: types.ModuleType) -> Iterator[Name]:
    """Yield what a module offers: what `__all__` lists, or what the module and its private modules
    define. Of a class, what the class and those of its bases that are ours define."""
    yield Name(module.__name__, module)
    for name in getattr(module, "__all__", None) or vars(module):
        value = getattr(module, name)
        if name.startswith("_") or isinstance(value, types.ModuleType) or not is_ours(value):
            continue
        if not hasattr(module, "__all__") and not value.__module__.startswith(module.__name__):
            continue
        path = f"{module.__name__}.{name}"
        if isinstance(value, type):
            yield from members_of(path, value)
        elif callable(value):
            yield Name(path, value)


def members_of(path: str, cls: type) -> Iterator[Name]:
    yield Name(path, cls, cls, cls)
    taken: set[str] = set()
    for owner in cls.__mro__:
        for name, value in vars(owner).items():
            if name.startswith("_") or name in taken or not is_ours(owner):
                continue
            taken.add(name)
            if callable(value) or isinstance(value, (*PROPERTIES, classmethod, staticmethod)):
                yield Name(f"{path}.{name}", value, cls, owner)


def is_documented(name: Name) -> bool:
    """Whether it has a docstring, or what it overrides has one. A field of a native class can have
    none: then its class names it, or it has a comment where it is declared."""
    if name.cls is None or name.owner is None or name.value is name.cls:
        return bool(name.value.__doc__)
    last = name.path.rpartition(".")[2]
    if any(getattr(vars(base).get(last), "__doc__", None) for base in name.cls.__mro__):
        return True
    is_field = isinstance(name.value, types.GetSetDescriptorType)
    is_named = re.search(rf"\b{last}\b", name.owner.__doc__ or "")
    return is_field and bool(is_named or last in commented_fields(name.owner))


def commented_fields(cls: type) -> set[str]:
    """Return the fields of a native class with a comment in their line, or above it."""
    header = source_of(cls).with_suffix(".pxd")
    if not header.exists():
        return set()
    lines = header.read_text().splitlines()
    return {
        one.name
        for one in declarations("\n".join(lines))
        if one.owner == cls.__name__
        if "#" in lines[one.line - 1] or lines[one.line - 2].lstrip().startswith("#")
    }


def source_of(value: Any) -> pathlib.Path:
    """Return the file of the source tree that defines this class or function."""
    parts = value.__module__.removeprefix("zcloop.").split(".")
    if parts[0] == "_native":
        return ROOT.joinpath(*parts).with_suffix(".pyx")
    path = ROOT.joinpath("zcloop", *parts)
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def bodies_of(path: pathlib.Path) -> dict[str, str]:
    """Return the code of each function of a file by its name. A property's halves are joined."""
    text = path.read_text()
    is_python = path.suffix == ".py"
    lines = masked(text).splitlines()
    found: dict[str, str] = {}
    for one in (functions_of_python if is_python else functions_of_cython)(text):
        body = "\n".join(lines[one.line - 1 : one.line - 1 + one.lines])
        found[one.name] = found.get(one.name, "") + body
    return found


def unnamed_errors(name: Name) -> list[str]:
    """Return the errors that the body itself raises, and that no docstring names: neither that of
    the function nor that of its class."""
    function = name.value
    if isinstance(function, types.ModuleType):
        return []
    if isinstance(function, property):
        function = function.fget
    function = inspect.unwrap(getattr(function, "__func__", function))
    if isinstance(function, type):
        last, holder, said = f"{function.__name__}.__init__", function, function.__doc__
    else:
        last = getattr(function, "__qualname__", getattr(function, "__name__", ""))
        holder = name.owner or function
        said = f"{function.__doc__} {name.owner.__doc__ if name.owner else None}"
    path = source_of(holder)
    return unnamed(bodies_of(path).get(last, ""), said or "") if path.is_file() else []


def unnamed(body: str, said: str) -> list[str]:
    raised = set(RAISED.findall(body)) - NO_PROMISE
    return sorted(one for one in raised if not re.search(rf"\b{one}\b", said))


@pytest.fixture(scope="module")
def public() -> list[Name]:
    """Each name by the first path that leads to it."""
    found: dict[int, Name] = {}
    for module in modules():
        for one in names_of(module):
            found.setdefault(id(one.value), one)
    return list(found.values())


def test_what_a_program_can_reach_says_what_it_does(public):
    assert len(public) > 300
    listed = {f"{owner}.{name}" for owner, names in UNDOCUMENTED.items() for name in names.split()}
    found = {one.path for one in public if not is_documented(one)}
    check_list(found, listed)


def test_what_a_program_can_reach_says_what_it_raises(public):
    listed = {f"{path}: {error}" for path, errors in UNNAMED.items() for error in errors.split()}
    check_list({f"{one.path}: {error}" for one in public for error in unnamed_errors(one)}, listed)


class _Theirs:
    def overridden(self) -> None:
        """Said by the other."""


class _Planted(_Theirs):
    """A class."""

    def said(self) -> None:
        """Said."""

    def overridden(self) -> None: ...

    def silent(self) -> None: ...

    @property
    def bare(self) -> int:
        return 1


_Planted.__module__ = "zcloop.planted"


def test_a_name_without_a_docstring_is_found() -> None:
    found = [one.path for one in members_of("planted", _Planted) if not is_documented(one)]
    assert found == ["planted.silent", "planted.bare"]


def test_an_error_that_is_not_named_is_found() -> None:
    body = """
def f():
    if a: raise ValueError("a")
    raise zcloop.OtherError from None
    raise found
    raise InvariantError("books")
"""
    assert unnamed(body, "ValueErrors are raised.") == ["OtherError", "ValueError"]
    assert unnamed(body, "Raises ValueError and OtherError.") == []
