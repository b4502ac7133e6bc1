"""Every Python example of README.md and docs/ does what it says, as a program of its own."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest
from documents import documents, examples

EXAMPLES = [example for document in documents() for example in examples(document)]
COMMAND = (sys.executable, "-P", "-X", "dev", "-W", "error")
SECONDS_MAX = 30


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.reason is None], ids=str)
def test_an_example_runs(example, tmp_path):
    script = tmp_path / "example.py"
    # The same number of lines stands before it, so that an error names the document's line.
    script.write_text("\n" * (int(example.place.rpartition(":")[2]) - 1) + example.code)
    shown = subprocess.run(
        (*COMMAND, str(script)), cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS_MAX
    )
    assert shown.returncode == 0, f"{example.place}\n{shown.stdout}{shown.stderr}"
    assert "Error" not in shown.stderr, f"{example.place}\n{shown.stderr}"


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.reason], ids=str)
def test_a_fragment_is_python(example):
    compile(example.code, example.place, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_no_block_of_python_is_overlooked():
    """A block that is indented, or opened in another way, would not be run."""
    opened = sum(
        len(
            re.findall(
                r"^[ \t>]*[`~]{3,}[ \t]*\{?(?:code-block\} )?(?:python|py)\b(?!:)",
                text,
                re.MULTILINE,
            )
        )
        for text in (document.read_text() for document in documents())
    )
    assert opened == len(EXAMPLES)
    assert EXAMPLES
    assert all(len(example.reason) > 10 for example in EXAMPLES if example.reason)
