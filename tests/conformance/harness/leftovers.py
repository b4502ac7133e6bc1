"""Finds descriptors and rings that a module's tests left behind in their process.

On asyncio's selector loop none of the modules leaves anything, on any of the Python versions, so
that whatever is found was left by the loop under test. A loop may keep something for the whole
process; the worker therefore makes and closes one loop before the first look.
"""

import os
from pathlib import Path

_DESCRIPTORS = Path("/proc/self/fd")
_MAPPINGS = Path("/proc/self/maps")


class Leftovers:
    """Compares the process with what it was when this was made. Call `look` after each test."""

    def __init__(self) -> None:
        self._before = _open_descriptors()
        self._rings_before = _mapped_rings()
        self._since: dict[str, str] = {}

    def look(self, test_id: str) -> None:
        """Remember after which test each new descriptor was first seen. It may still be closed."""
        present = set(os.listdir(_DESCRIPTORS)) - self._before.keys()
        self._since = {number: self._since.get(number, test_id) for number in present}

    def found(self) -> list[str]:
        """Return one line for each thing that is still there. Collect garbage before this."""
        lines = [
            f"descriptor {number} ({target}), open since {self._since.get(number, 'the last test')}"
            for number, target in _open_descriptors().items()
            if number not in self._before
        ]
        rings = _mapped_rings() - self._rings_before
        if rings > 0:
            lines.append(f"{rings} mappings of io_uring rings")
        return lines


def _open_descriptors() -> dict[str, str]:
    descriptors = {}
    for number in os.listdir(_DESCRIPTORS):
        try:
            descriptors[number] = os.readlink(_DESCRIPTORS / number)
        except FileNotFoundError:  # the one that listed the directory
            continue
    return descriptors


def _mapped_rings() -> int:
    return _MAPPINGS.read_text().count("anon_inode:[io_uring]")
