"""Lists of exceptions from a rule that may only shrink."""

from __future__ import annotations

from collections.abc import Iterable


def check_list(found: Iterable[str], listed: Iterable[str]) -> None:
    """Fail for what breaks the rule and is not listed, and for what is listed and keeps it."""
    found, listed = set(found), set(listed)
    lines = [f"{one} breaks the rule" for one in sorted(found - listed)]
    lines += [f"{one} keeps the rule: take it off the list" for one in sorted(listed - found)]
    assert not lines, "\n".join(["", *lines])
