"""Event loops by name: `uvloop`, `package:factory`, or `name@/path/to/python` for its own Python.

`python -m bench.loops MODULE:FACTORY` says by its exit status whether the loop can be made.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from dataclasses import dataclass
from typing import cast

KNOWN = ("asyncio", "uvloop", "rloop", "rsloop", "blazio", "zcloop")


@dataclass(frozen=True)
class Contestant:
    """A loop under test: the label of its rows, its `module:factory`, its interpreter."""

    label: str
    factory: str
    python: str


def parse_contestant(specification: str, python: str = sys.executable) -> Contestant:
    """The contestant that a command line names; raises ValueError for an unknown short name."""
    label, _, own_python = specification.partition("@")
    if ":" in label:
        factory = label
    elif label in KNOWN:
        factory = f"{label}:new_event_loop"
    else:
        raise ValueError(f"{label} is none of {', '.join(KNOWN)}: write MODULE:FACTORY")
    return Contestant(specification, factory, own_python or python)


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


if __name__ == "__main__":
    new_loop(sys.argv[1]).close()
