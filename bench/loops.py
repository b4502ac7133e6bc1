"""Event loops by name: `uvloop`, `package:factory`, or `name@/path/to/python` for its own Python.

The servers of `name/buffered` and `name/zero-copy` are made of that kind of protocol, where there
is one; those of a plain name are made of asyncio.Protocol.

`c-uring` and `c-epoll` are servers in C (floor/) without a loop. They show what the machine can do.

`python -m bench.loops MODULE:FACTORY` makes the loop, and prints its version and Python's.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import platform
import sys
from dataclasses import dataclass
from typing import cast

PROTOCOLS = ("", "buffered", "zero-copy")
KNOWN = ("asyncio", "uvloop", "rloop", "rsloop", "blazio", "zuvloop", "zcloop")
FLOORS = ("c-uring", "c-epoll")


@dataclass(frozen=True)
class Contestant:
    """A loop under test: the label of its rows, its `module:factory`, its interpreter, and the
    kind of protocol that its servers are made of."""

    label: str
    factory: str
    python: str
    protocol: str = ""
    version: str = ""

    @property
    def is_floor(self) -> bool:
        """Whether this is a server in C."""
        return self.label in FLOORS

    @property
    def loop(self) -> str:
        """The loop's name alone, or that of its package."""
        return self.label.partition("@")[0].partition("/")[0].partition(":")[0]


def parse_contestant(specification: str, python: str = sys.executable) -> Contestant:
    """Return the contestant that a command line names. An unknown short name is a ValueError."""
    label, _, own_python = specification.partition("@")
    label, _, protocol = label.partition("/")
    if specification in FLOORS:
        return Contestant(specification, "", "")
    if ":" in label:
        factory = label
    elif label in KNOWN:
        factory = f"{label}:new_event_loop"
    else:
        raise ValueError(f"{label} is none of {', '.join((*KNOWN, *FLOORS))}: write MODULE:FACTORY")
    if protocol not in PROTOCOLS:
        raise ValueError(f"/{protocol} is none of {', '.join(filter(None, PROTOCOLS))}")
    return Contestant(specification, factory, own_python or python, protocol)


def new_loop(factory: str) -> asyncio.AbstractEventLoop:
    """Return the loop that `module:factory` makes, and make it the current one."""
    module, _, name = factory.partition(":")
    loop = cast(asyncio.AbstractEventLoop, getattr(importlib.import_module(module), name)())
    asyncio.set_event_loop(loop)
    return loop


def free_large_block() -> None:
    """Allocate one large block and free it, as any program does sooner or later.

    Until then glibc serves each receive buffer of 256 KiB by mmap and munmap. Loops that allocate
    one for each receive are slowed to a third by that: a difference of programs, not of loops.
    """
    block = bytearray(1 << 20)
    del block


def version(factory: str) -> str:
    """Return the version of the package that the loop is from, and that of the interpreter."""
    python = f"Python {platform.python_version()}"
    try:
        return (
            f"{importlib.metadata.version(factory.partition(':')[0].partition('.')[0])} ({python})"
        )
    except importlib.metadata.PackageNotFoundError:
        return f"({python})"


if __name__ == "__main__":
    new_loop(sys.argv[1]).close()
    print(version(sys.argv[1]))
