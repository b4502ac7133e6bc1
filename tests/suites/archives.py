"""Downloads the archives of `archives.txt`, and takes the tests out of them."""

import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Suite:
    """A project whose archive has tests, and how its pytest is called."""

    name: str
    members: tuple[str, ...]  # not its package: the tests are to import the installed one
    options: tuple[str, ...]

    @property
    def release(self) -> str:
        return f"{self.name}-{version(self.name)}"


# aiohttp's own options would start processes, measure coverage and print much. The tests that it
# leaves out stay out: for Python's development mode, for a server in Docker, for its releases.
SUITES = {
    "anyio": Suite("anyio", ("tests", "pyproject.toml"), ("-m", "not network")),
    "aiohttp": Suite(
        "aiohttp",
        ("tests", "pytest.ini", "README.rst"),
        ("-o", "addopts=", "-m", "not dev_mode and not autobahn and not internal"),
    ),
}


def unpack(suite: Suite, archives: Path, target: Path) -> None:
    """Put the suite's tests into `target`, which is made anew. Missing archives are downloaded."""
    archive = archives / f"{suite.release}.tar.gz"
    if not archive.exists():
        _download(archives)
    shutil.rmtree(target, ignore_errors=True)
    with tarfile.open(archive) as source:
        for member in source:
            top, _, path = member.name.partition("/")
            if top == suite.release and path.split("/")[0] in suite.members:
                source.extract(member.replace(name=path), target, filter="data")


def _download(archives: Path) -> None:
    archives.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "download"]
    source = ["--no-deps", "--no-binary", ":all:", "--require-hashes"]
    wanted = ["-r", str(HERE / "archives.txt"), "-d", str(archives)]
    subprocess.run([*pip, *source, *wanted], check=True)
