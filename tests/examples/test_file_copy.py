"""file_copy.py: copies are equal, and one that fails leaves nothing behind and the others alone."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "file_copy.py"
LOOP = os.environ.get("ZCLOOP_TEST_LOOP", "zcloop:new_event_loop")
pytestmark = pytest.mark.skipif(
    not LOOP.startswith("zcloop:"), reason="zcloop.files is awaited on zcloop only"
)


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-P", "-W", "error", EXAMPLE, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_all_files_are_copied(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    sizes = [0, 1, 4096, 1 << 20, 3_000_001, *range(100, 130)]
    sources = [tmp_path / f"file-{size}" for size in sizes]
    for source, size in zip(sources, sizes, strict=True):
        source.write_bytes(os.urandom(size))
    done = run("--sync", "--jobs", 3, *sources, target)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(rf"{len(sizes)} files, {sum(sizes)} bytes in ", done.stdout)
    for source in sources:
        assert (target / source.name).read_bytes() == source.read_bytes()


def test_a_copy_that_fails_says_why(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / "good").write_bytes(b"good")
    (target / "same").write_bytes(b"kept")
    done = run(tmp_path / "none", tmp_path / "good", target / "same", target)
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr
    assert "are the same file" in done.stderr
    assert sorted(path.name for path in target.iterdir()) == ["good", "same"]
    assert (target / "same").read_bytes() == b"kept"
