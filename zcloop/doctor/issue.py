"""The report for a bug report: Markdown without names of hosts, users, folders or interfaces."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from zcloop.doctor.report import Report, as_dict


def render(report: Report) -> str:
    """What to paste, with a newline at its end."""
    found = anonymous(as_dict(report))
    rows = {
        **found["versions"],
        "backend": found["loop"]["backend"] or found["loop"]["error"],
        "io_uring": ", ".join(found["io_uring"]["causes"]) or "available",
        "missing": ", ".join(
            name for name, one in found["features"].items() if not one["available"]
        )
        or "nothing",
    }
    table = [f"| {name} | {value or 'unknown'} |" for name, value in rows.items()]
    whole = json.dumps(found, indent=1)
    return "\n".join(
        [
            "### zcloop doctor",
            "",
            found["summary"],
            "",
            "| what | is |",
            "| --- | --- |",
            *table,
            "",
            "<details><summary>Everything it found, without names</summary>",
            "",
            "```json",
            whole,
            "```",
            "",
            "</details>",
            "",
        ]
    )


def anonymous(found: dict[str, Any]) -> dict[str, Any]:
    """A copy without what names this machine or its people."""
    copy = json.loads(json.dumps(found))
    # A profile of AppArmor often has the path of a program for its name.
    copy["io_uring"]["security_label"] = None
    for number, interface in enumerate(copy["interfaces"], 1):
        interface["name"] = f"interface {number}"
    # Two texts are not ours: the name of a kernel that somebody built, and an error.
    cleaned: dict[str, Any] = _cleaned(copy, _names())
    return cleaned


def _names() -> re.Pattern[str]:
    """The machine's name, long and short, and the paths of people's folders."""
    node = os.uname().nodename
    hosts = [re.escape(name) for name in {node, node.partition(".")[0]} - {"", "localhost"}]
    folders = [re.escape(os.path.expanduser("~").rstrip("/")), r"/home/[^/\s:'\"]+"]
    wanted = [rf"(?<![\w-]){host}(?![\w])" for host in hosts] + [one for one in folders if one]
    return re.compile("|".join(wanted))


def _cleaned(value: Any, names: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return names.sub("(name)", value)
    if isinstance(value, list):
        return [_cleaned(one, names) for one in value]
    if isinstance(value, dict):
        return {key: _cleaned(one, names) for key, one in value.items()}
    return value
