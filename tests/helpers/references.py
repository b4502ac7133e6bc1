"""What a text refers to: its words, code, links and anchors; and what there is."""

from __future__ import annotations

import fnmatch
import functools
import os
import pathlib
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass

# Hidden folders that are ours, and folders that git ignores.
KEPT = {".ci", ".github"}
PRUNED = {"__pycache__", "build", "dist"}

FENCE = re.compile(r"^( *)(```+|~~~+)[^\n]*\n(.*?)^\1\2[ ]*$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:(?<=\n\n)|\A)(?: {4}[^\n]*\n|\n(?= {4}))+")
SPAN = re.compile(r"(`+)(.+?)\1", re.DOTALL)
URL = re.compile(r"https?://[^\s)>\"'`]+")
HEADER = re.compile(r"<[\w/.]+\.h>")
WORD = re.compile(r"[\w.*/~-]+")
LINK = re.compile(r"\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
ATTRIBUTE = re.compile(r"<(?:a|img|source)\s[^>]*?(?:href|src|srcset)=\"([^\"]+)\"")
ANCHOR = re.compile(r"<a\s[^>]*?(?:id|name)=\"([^\"]+)\"")
HEADING = re.compile(r"^#{1,6}[ \t]+(.*?)[ \t]*#*$", re.MULTILINE)


# A word with one of these endings names a file.
SUFFIXES = (".md", ".py", ".pyx", ".pxd", ".pyi", ".sh", ".yml", ".toml", ".lua", ".svg", ".build")
# Words that look like one of our files and are something else.
ELSEWHERE = {
    "zcloop/_native/": "where _native/ is installed",
    "zcloop/zcloop": "the repository, as GitHub names it",
    "zcloop/zero-copy": "a loop and a kind of server, as the benchmarks name them",
}


@dataclass(frozen=True)
class Tree:
    """What a text may refer to."""

    files: frozenset[str]
    targets: frozenset[str]
    homepage: str = "https://example.org/us"

    @functools.cached_property
    def folders(self) -> frozenset[str]:
        parents = {str(one) for file in self.files for one in pathlib.PurePath(file).parents}
        return frozenset(parents - {"."})

    @functools.cached_property
    def top(self) -> frozenset[str]:
        return frozenset(path for path in self.files | self.folders if "/" not in path)

    def has(self, word: str, folder: str) -> bool:
        """Whether a file or a folder has this name: from the top, from the document's folder, or at
        the end of a path. An asterisk stands for anything; `_end.py` is the end of a name."""
        word = word.rstrip("/")
        everything = self.files | self.folders
        if word in everything or posixpath.normpath(f"{folder}/{word}") in everything:
            return True
        pattern = f"*{word}" if word.startswith("_") else f"*/{word}"
        return bool(fnmatch.filter((f"/{path}" for path in everything), pattern))


def files_of(root: pathlib.Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        if "pyvenv.cfg" in names:
            folders.clear()
            continue
        folders[:] = [
            one for one in folders if one in KEPT or not (one in PRUNED or one.startswith("."))
        ]
        for name in names:
            yield (pathlib.Path(folder) / name).relative_to(root).as_posix()


def targets_of(makefile: str) -> Iterator[str]:
    for line in re.findall(r"^([a-z][a-z0-9 -]*):(?!=)", makefile, re.MULTILINE):
        yield from line.split()


def without_blocks(text: str) -> str:
    """Return a document without its blocks of code."""
    return INDENTED.sub("\n", FENCE.sub("", text))


def blocks_of(text: str) -> Iterator[str]:
    for found in FENCE.finditer(text):
        yield found.group(3)
    for found in INDENTED.finditer(FENCE.sub("", text)):
        yield re.sub(r"^ {4}", "", found.group(), flags=re.MULTILINE)


def spans_of(text: str) -> Iterator[str]:
    for _, code in SPAN.findall(without_blocks(text)):
        yield code


def words_of(text: str) -> Iterator[str]:
    for word in WORD.findall(HEADER.sub("", URL.sub("", text))):
        yield word.rstrip(".-") if word.endswith((".", "-")) else word


def anchors_of(text: str) -> set[str]:
    """The anchors of a document, as GitHub makes them from its headings."""
    found: set[str] = set(ANCHOR.findall(text))
    for heading in HEADING.findall(FENCE.sub("", text)):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        number = 0
        unique = anchor
        while unique in found:
            number += 1
            unique = f"{anchor}-{number}"
        found.add(unique)
    return found


def links_of(text: str) -> Iterator[str]:
    bare = SPAN.sub("`", without_blocks(text))
    for target, defined in LINK.findall(bare):
        yield (target or defined).strip("<>")
    yield from ATTRIBUTE.findall(bare)


def missing_files(name: str, text: str, tree: Tree) -> list[str]:
    """Name the files and folders of ours that the text names and that are not there. In a block of
    code only paths from the top count, since its other files may be the reader's."""

    def is_path(word: str) -> bool:
        return "/" in word and word.partition("/")[0] in tree.top

    shown = LINK.sub("]", without_blocks(text))
    lines = [word for word in words_of(shown) if word.endswith(SUFFIXES) or is_path(word)]
    blocks = [word for block in blocks_of(text) for word in words_of(block) if is_path(word)]
    return [
        f"{name} names {word}, which is not there"
        for word in dict.fromkeys([*lines, *blocks])
        if not (
            word in ELSEWHERE
            or word in SUFFIXES
            or word.startswith(("/", "~", "build/", ".venv/"))
            or tree.has(word, posixpath.dirname(name))
        )
    ]
