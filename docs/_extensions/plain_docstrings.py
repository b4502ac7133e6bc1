"""Docstrings here are plain text with `code` in it: what reStructuredText reads as more is escaped.

A block that is indented, or whose lines are a word and what it means, stays as it is written. The
line that Cython puts first, the signature in C's words, is left out.
"""

from __future__ import annotations

import re
from typing import Any

# Outside of `code`: a star, and the underscore that ends a word and would make it a link.
CODE = re.compile(r"(``?[^`]+``?)")
MARKUP = re.compile(r"[*|]|(?<=\w)_(?!\w)")
BLOCK = re.compile(r" {4}|\S+ {2,}\S")


def escaped(line: str) -> str:
    parts = CODE.split(line)
    parts[::2] = [MARKUP.sub(lambda found: "\\" + found[0], part) for part in parts[::2]]
    return "".join(parts)


def prose(lines: list[str]) -> list[str]:
    made: list[str] = []
    is_block = False
    for line in lines:
        if BLOCK.match(line) and not is_block and (not made or not made[-1]):
            made += ["::", ""]
            is_block = True
        elif line and not BLOCK.match(line):
            is_block = False
        made.append(f"    {line}" if is_block and line else escaped(line))
    return made


def process(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    if lines and re.fullmatch(rf"{name.rpartition('.')[2]}\(.*\)", lines[0]):
        del lines[:2]
    lines[:] = [*prose(lines), ""]


def setup(app: Any) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
