"""Links to Python's documentation without a network: an inventory made of python-names.txt.

Intersphinx fetches `objects.inv` from docs.python.org, and a build that cannot is a build with
warnings. So the inventory is written here, into the cache of the build, from a list that has a
line for each name: the name as it is written, its role, and the page it is on.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

PYTHON = "https://docs.python.org/3"
HEADER = "# Sphinx inventory version 2\n# Project: Python\n# Version: 3\n# {}\n".format(
    "The remainder of this file is compressed using zlib."
)


def inventory(text: str) -> bytes:
    """What intersphinx reads, of the lines `name role page`; comments and empty lines are none."""
    lines = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, role, page = line.split()
            lines.append(f"{name} py:{role} 1 {page} -\n")
    return HEADER.encode() + zlib.compress("".join(lines).encode())


def write(app: Any, config: Any) -> None:
    """Before intersphinx loads what `intersphinx_mapping` names."""
    listed = Path(app.confdir) / "python-names.txt"
    made = Path(app.doctreedir) / "python-names.inv"
    made.parent.mkdir(parents=True, exist_ok=True)
    made.write_bytes(inventory(listed.read_text()))
    config.intersphinx_mapping = {"python": (PYTHON, str(made))}


def setup(app: Any) -> dict[str, bool]:
    app.connect("config-inited", write, priority=1)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
