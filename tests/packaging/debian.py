"""Debian's packages of another release or architecture, unpacked into a folder of their own.

Nothing is installed and nothing of the running system changes: apt is given a list of sources, a
database of packages (empty) and a cache below the folder.
"""

from __future__ import annotations

import os
import pathlib
import subprocess

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SETTINGS = """
Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
"""


def release() -> str:
    """Return the code name of the Debian that runs here."""
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    raise SystemExit("no Debian here: /etc/os-release names no release")


class Packages:
    """The packages of one release and architecture, and what they need."""

    def __init__(self, folder: pathlib.Path, suite: str, architecture: str) -> None:
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(
            f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {suite} main\n"
        )
        (folder / "apt.conf").write_text(
            SETTINGS.format(folder=folder.resolve(), architecture=architecture)
        )
        self._folder = folder
        self._environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}
        self._apt("update")

    def _apt(self, *arguments: str) -> None:
        command = ("apt-get", "-qq", "-y", *arguments)
        subprocess.run(command, check=True, env=self._environment, cwd=self._folder)

    def unpack(self, root: pathlib.Path, *names: str, with_dependencies: bool = False) -> None:
        """Unpack them into `root`."""
        archives = self._folder / ("cache/archives" if with_dependencies else ".")
        for old in archives.glob("*.deb"):
            old.unlink()
        if with_dependencies:
            self._apt("install", "--download-only", "--no-install-recommends", *names)
        else:
            self._apt("download", *names)
        root.mkdir(parents=True, exist_ok=True)
        for archive in archives.glob("*.deb"):
            subprocess.run(("dpkg", "-x", str(archive), str(root)), check=True)
