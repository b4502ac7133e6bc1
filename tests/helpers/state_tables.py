"""The table of states at the head of a module, for tests that drive its code through each row."""

from __future__ import annotations

import re
from types import ModuleType

Row = tuple[str, ...]


def cells(line: str) -> Row:
    """What stands between two spaces and more."""
    return tuple(re.split(r" {2,}", line.strip()))


def state_table(module: ModuleType, *columns: str) -> list[Row]:
    """The rows below the line that names these columns, up to the next empty line."""
    lines = (module.__doc__ or "").splitlines()
    heads = [number for number, line in enumerate(lines) if cells(line) == columns]
    assert len(heads) == 1, f"{module.__name__} has {len(heads)} tables of {columns}"
    rows = []
    for line in lines[heads[0] + 1 :]:
        if not line.strip():
            break
        rows.append(cells(line))
        assert len(rows[-1]) == len(columns), line
    return rows
