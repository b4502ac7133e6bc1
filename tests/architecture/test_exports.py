"""What `import zcloop` gives, and what it costs."""

from __future__ import annotations

import os
import pathlib
import statistics
import subprocess
import sys
import types

import zcloop

IMPORT_SECONDS_MAX = 0.060
RUNS = 7
SCRIPT = """
import asyncio, time
begin = time.process_time()
import zcloop
print(time.process_time() - begin)
"""


def test_every_exported_name_exists():
    assert [name for name in zcloop.__all__ if not hasattr(zcloop, name)] == []


def test_every_public_name_is_exported():
    public = {
        name
        for name, value in vars(zcloop).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert public - set(zcloop.__all__) == set()


def test_every_exported_object_says_what_it_is():
    assert [name for name in zcloop.__all__ if not getattr(zcloop, name).__doc__] == []


def test_public_modules_need_no_import_of_their_own():
    script = (
        "import zcloop; print(zcloop.files.open.__module__, zcloop.sync.acquire.__module__);"
        "zcloop.message_queues, zcloop.requests, zcloop.streams, zcloop.testing"
    )
    said = subprocess.check_output((sys.executable, "-P", "-c", script), cwd="/", text=True)
    assert said == "zcloop.files zcloop.sync\n"


def test_the_source_folder_says_that_it_is_no_installed_zcloop():
    source = pathlib.Path(__file__).parents[2]
    done = subprocess.run(
        (sys.executable, "-c", "import zcloop"),
        cwd=source,
        env={**os.environ, "PYTHONSAFEPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"ImportError: {source / 'zcloop'} is zcloop's source" in done.stderr
    assert "python -P" in done.stderr


def test_import_is_quick():
    """The CPU time beyond that of asyncio counts, so that a busy machine does not fail it."""
    command = (sys.executable, "-P", "-c", SCRIPT)
    seconds = [float(subprocess.check_output(command, cwd="/")) for _ in range(RUNS)]
    assert statistics.median(seconds) < IMPORT_SECONDS_MAX


def test_import_of_zcloop_does_not_import_what_it_need_not():
    script = "import asyncio, sys; before = set(sys.modules); import zcloop; print(*sys.modules)"
    loaded = subprocess.check_output((sys.executable, "-P", "-c", script), cwd="/", text=True)
    assert {"liburing", "uvloop", "typing_extensions"} & set(loaded.split()) == set()
    optional = (
        "zcloop.doctor", "zcloop.event_channel", "zcloop.files", "zcloop.message_queues",
        "zcloop.requests", "zcloop.streams", "zcloop.sync", "zcloop.testing",
        "zcloop._native.events", "zcloop._native.ipc", "zcloop._native.streams",
        "zcloop._native.sync",
    )  # fmt: skip
    assert [name for name in loaded.split() if name.startswith(optional)] == []


def test_what_is_not_imported_yet_is_listed():
    script = "import zcloop; print(*dir(zcloop)); print(*zcloop.__all__)"
    said = subprocess.check_output((sys.executable, "-P", "-c", script), cwd="/", text=True)
    listed, exported = said.splitlines()
    assert set(exported.split()) - set(listed.split()) == set()
