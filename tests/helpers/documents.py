"""The Python examples of the documents, as files that a test can run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# A comment before a block says why it cannot be run: <!-- fragment: the reason -->
BLOCK = re.compile(
    r"(?:^<!-- fragment: (?P<reason>[^\n]+) -->\n)?^```python\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Example:
    """One block: where it begins, what it is, and why it cannot be run, or None."""

    place: str
    code: str
    reason: str | None

    def __str__(self) -> str:
        return self.place


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def examples(document: Path) -> Iterator[Example]:
    text = document.read_text()
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        place = f"{document.relative_to(ROOT)}:{line}"
        yield Example(place, found["code"], found["reason"])
