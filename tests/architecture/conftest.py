"""Reads the source tree as text, for the tests of the architecture."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sources import masked

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPINE = ("kernel", "ring", "memory", "operation", "pacing", "channel", "loop", "transport")
ROOMS = ("sync", "ipc", "streams", "events")

IMPORT = re.compile(
    r"^\s*(?:from\s+([\w.]+)\s+c?import\s*(\([^)]*\)|[^\n]*)|c?import\s+([^\n]+))", re.MULTILINE
)


@dataclass(frozen=True)
class Module:
    """One module: `loop.core` of the native half, `zcloop.loop` of the facade."""

    name: str
    code: str
    """Its files, without comments and strings."""

    @property
    def layer(self) -> str:
        return self.name.partition(".")[0]

    @property
    def identifiers(self) -> set[str]:
        return set(re.findall(r"[A-Za-z_][\w.]*", self.code))

    def imports(self) -> Iterator[str]:
        """Yield dotted names of everything that it imports or cimports; `from x import y` is x and
        x.y."""
        for source, names, modules in IMPORT.findall(self.code):
            if source:
                yield source
                yield from (f"{source}.{name}" for name in re.findall(r"\w+", names))
            else:
                yield from re.findall(r"[\w.]+", modules)


@pytest.fixture(scope="session")
def root() -> pathlib.Path:
    return ROOT


@pytest.fixture(scope="session")
def spine() -> tuple[str, ...]:
    """The layers of the native half, lowest first. All else stands on them."""
    return SPINE


@pytest.fixture(scope="session")
def rooms() -> tuple[str, ...]:
    """The features of the native half, which stand beside the spine. None knows another."""
    return ROOMS


@pytest.fixture(scope="session")
def native() -> dict[str, Module]:
    """The modules of _native/ by name; a .pxd and its .pyx are one."""
    texts: dict[str, str] = {}
    for path in sorted((ROOT / "_native").rglob("*.p[xy][dx]")):
        name = ".".join(path.relative_to(ROOT / "_native").with_suffix("").parts)
        texts[name] = texts.get(name, "") + masked(path.read_text(), keeps_c=True) + "\n"
    return {name: Module(name, text) for name, text in texts.items()}


@pytest.fixture(scope="session")
def facade() -> dict[str, Module]:
    """The modules of zcloop/ by name."""
    paths = sorted((ROOT / "zcloop").rglob("*.py"))
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths]
    return {
        name: Module(name, masked(path.read_text(), keeps_c=True))
        for name, path in zip(names, paths, strict=True)
    }


@pytest.fixture(scope="session")
def dependencies(native: dict[str, Module]) -> dict[str, set[str]]:
    """For each native module the native modules that it cimports or imports."""
    prefix = "zcloop._native."
    found = {}
    for name, module in native.items():
        imported = {each.removeprefix(prefix) for each in module.imports() if prefix in each}
        found[name] = (imported & native.keys()) - {name}
    return found
