"""What the machines of tests/kernels take from Debian: a root to run in, and kernels."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parents[1]
BUILD = SOURCE / "build" / "kernels"
MIRROR = "http://deb.debian.org/debian"
SUITES = "bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "forky"
SECURITY = "bullseye", "bookworm", "trixie"
PACKAGES = (
    *("python3", "iproute2", "kmod", "procps", "ca-certificates", "util-linux", "mount"),
    *("e2fsprogs", "openssl", "xz-utils", "strace"),
)
# The parts of the sources that the tests need.
SOURCES = "tests", "examples", "bench", "pyproject.toml"


def run(*command: str | Path, **options: object) -> str:
    """Run a command and return its output. If it fails, this program ends."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{shlex.join(map(str, command))} failed: {done.stdout[-2000:]}")
    return str(done.stdout)


def make_root() -> Path:
    """Return the root of Debian 12, whose Python is 3.11. It is made once."""
    root = BUILD / "root"
    if not (root / "usr/bin/python3").exists():
        shutil.rmtree(root, ignore_errors=True)
        packages = f"--include={','.join(PACKAGES)}"
        run("debootstrap", "--variant=minbase", packages, "bookworm", root, MIRROR)
    return root


def make_payload(payload: Path, variables: Iterable[str], tests: Iterable[str]) -> None:
    """Make a root that lies over Debian's, with zcloop as it is installed here, its tests, and what
    to do."""
    shutil.rmtree(payload, ignore_errors=True)
    ours = payload / "zcloop"
    ours.mkdir(parents=True)
    shutil.copy(HERE / "guest.sh", payload / "init")
    (payload / "init").chmod(0o755)
    (ours / "variables").write_text("\n".join(variables) + "\n")
    (ours / "tests-to-run").write_text("\n".join(tests) + "\n")
    for name in SOURCES:
        copy = shutil.copytree if (SOURCE / name).is_dir() else shutil.copy
        copy(SOURCE / name, ours / name)
    shutil.copytree(sysconfig.get_path("purelib"), ours / "packages", symlinks=True)
    # PYTHONPATH would not do: tests start interpreters with an environment of their own.
    site = payload / "usr/local/lib/python3.11/dist-packages"
    site.mkdir(parents=True)
    (site / "zcloop.pth").write_text("/zcloop/packages\n")


class Kernel:
    """One that can be booted: where its files are, and what its machine prints."""

    release: str
    options = ""
    """Options for pytest. Those that were asked for come after them."""

    @property
    def folder(self) -> Path:
        return BUILD / self.release

    @property
    def log(self) -> Path:
        return BUILD / f"{self.release}.log"


class Mirror:
    """apt with lists of its own. The lists of this machine are left alone."""

    def __init__(self) -> None:
        folder = BUILD / "apt"
        for name in ("lists/partial", "archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        lines = [f"deb {MIRROR} {suite} main" for suite in SUITES]
        lines += [f"deb {MIRROR}-security {suite}-security main" for suite in SECURITY]
        (folder / "sources.list").write_text("\n".join(lines) + "\n")
        (folder / "apt.conf").write_text(
            f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "/dev/null";\n'
            f'Dir::State::lists "{folder}/lists";\nDir::Cache "{folder}";\n'
            f'Dir::Cache::archives "{folder}/archives";\nAPT::Sandbox::User "root";\n'
        )
        self._environment = {**os.environ, "APT_CONFIG": str(folder / "apt.conf")}
        if not any((folder / "lists").glob("*_Packages*")):
            run("apt-get", "update", env=self._environment)

    def names(self, pattern: str) -> list[str]:
        """Return the packages whose name the pattern matches."""
        listed = run("apt-cache", "search", "--names-only", pattern, env=self._environment)
        return [line.split()[0] for line in listed.splitlines()]

    def versions(self, package: str) -> list[tuple[str, str]]:
        """Return each version of a package, and the suite that has it."""
        listed = run("apt-cache", "madison", package, env=self._environment)
        fields = [[each.strip() for each in line.split("|")] for line in listed.splitlines()]
        return [(version, place.split()[1].split("/")[0]) for _, version, place in fields]

    def unpack(self, package: str, folder: Path) -> None:
        """Fetch a package, which may be `name=version` or `name/suite`, into a folder."""
        archives = folder / "archives"
        shutil.rmtree(archives, ignore_errors=True)
        archives.mkdir(parents=True)
        run("apt-get", "-qq", "download", package, env=self._environment, cwd=archives)
        (archive,) = archives.glob("*.deb")
        run("dpkg-deb", "-x", archive, folder)
        shutil.rmtree(archives)
