"""Event loops by name: `uvloop`, `package:factory`, or `name@/path/to/python` for its own Python.

`name/buffered` and `name/zero-copy` are served by that kind of protocol, where it makes a
difference; without one it is asyncio.Protocol.

`c-uring` and `c-epoll` are servers in C (floor/), without a loop: what the machine can do.

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
        """Whether it is a server in C."""
        return self.label in FLOORS

    @property
    def loop(self) -> str:
        """Its name alone, or that of its package."""
        return self.label.partition("@")[0].partition("/")[0].partition(":")[0]


def parse_contestant(specification: str, python: str = sys.executable) -> Contestant:
    """The contestant that a command line names; raises ValueError for an unknown short name."""
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
    """The loop that `module:factory` makes, set as the current one."""
    module, _, name = factory.partition(":")
    loop = cast(asyncio.AbstractEventLoop, getattr(importlib.import_module(module), name)())
    asyncio.set_event_loop(loop)
    return loop


def free_large_block() -> None:
    """Allocate one large block and free it whole, as any program does sooner or later.

    Until a process has, glibc serves each 256 KiB receive buffer by mmap and munmap, which slows
    the loops that allocate one per receive to a third: a difference between programs, not loops.
    """
    block = bytearray(1 << 20)
    del block


def version(factory: str) -> str:
    """Of the package that the loop is from, and of the interpreter."""
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
