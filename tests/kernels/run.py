"""Run tests under the kernels that Debian ships, each in an emulated machine.

    python tests/kernels/run.py                                  # 6.1 and 6.12, unit and fault
    python tests/kernels/run.py --kernels 6.1 tests/unit/sync     # a part
    python tests/kernels/run.py --kernels 6.1,6.18 --environment ZCLOOP_WITHOUT=push -k barrier

Needs root, qemu-system-x86, debootstrap, dpkg and apt (`apt-get install qemu-system-x86
debootstrap`), and the interpreter of Debian 12, Python 3.11: the machine's userland is Debian 12,
and gets zcloop and what it is tested with from the running interpreter's environment. The newest
Debian kernel of a version is fetched from the mirror. The emulation (TCG) uses no /dev/kvm; it is
ten to thirty times slower than the machine, so each test may take that much longer.

A machine is a kernel and an initramfs: Debian's root, the kernel's modules, zcloop and its tests,
one after another. It boots, `guest.sh` runs pytest, writes the results to its second serial port,
and turns the machine off. /tmp is an ext4 disk. What it printed is in build/kernels/<kernel>.log.

The status is 0 if every test passed or was skipped, 1 if not, 2 if a machine did not tell.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ElementTree
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

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
DEFAULT_KERNELS = "6.1,6.12"
DEFAULT_TESTS = "tests/unit", "tests/fault"

# Of the root: what no test reads.
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt")
# Of a kernel's modules: what a test may need, and the disk.
MODULES = "net", "crypto", "lib", "arch/x86/crypto", "fs/ext4", "fs/jbd2", "fs/mbcache.ko"
MODULES_OF_DRIVERS = "virtio", "block/virtio_blk.ko", "net/veth.ko", "net/dummy.ko", "net/tun.ko"

MEMORY_MB = 6144
DISK_MB = 2048
CPUS = 2
# Emulated, a test takes up to so many times as long as its own limit allows for.
SLOWNESS = 20
HOURS_MAX = 6


# ---- the initramfs -------------------------------------------------------------------------------


class Archive:
    """A cpio archive as the kernel unpacks it ("newc"); several in a file are unpacked in turn."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._count = 0

    def add(self, name: str, mode: int, data: bytes = b"", device: int = 0) -> None:
        """One file, folder or link of root's; a link's data is where it leads."""
        self._count += 1
        encoded = name.encode(errors="surrogateescape") + b"\0"
        fields = (
            self._count, mode, 0, 0, 1, 0, len(data), 0, 0,
            os.major(device), os.minor(device), len(encoded), 0,
        )  # fmt: skip
        self._write(b"070701" + b"".join(b"%08x" % each for each in fields) + encoded)
        self._write(data)

    def _write(self, data: bytes) -> None:
        self._file.write(data + bytes(-len(data) % 4))

    def add_tree(self, source: Path, target: str, left_out: tuple[str, ...] = ()) -> None:
        """What is in a folder, without what is in any of the others."""
        self.add(target or ".", stat.S_IFDIR | 0o755)
        for folder, folders, files in os.walk(source):
            base = Path(folder).relative_to(source)
            folders[:] = [
                each for each in folders
                if str(base / each) not in left_out and each != "__pycache__"
            ]  # fmt: skip
            for name in folders + files:
                self._add_file(Path(folder, name), str(Path(target) / base / name))

    def _add_file(self, path: Path, name: str) -> None:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            self.add(name, status.st_mode, os.readlink(path).encode())
        elif stat.S_ISREG(status.st_mode):
            self.add(name, status.st_mode, path.read_bytes())
        else:
            self.add(name, status.st_mode, device=status.st_rdev)

    def close(self) -> None:
        self.add("TRAILER!!!", 0)


def make_root() -> Path:
    """Debian's root as an archive, made once."""
    archive, root = BUILD / "root.cpio", BUILD / "root"
    if archive.exists():
        return archive
    if not (root / "usr/bin/python3").exists():
        shutil.rmtree(root, ignore_errors=True)
        packages = f"--include={','.join(PACKAGES)}"
        run("debootstrap", "--variant=minbase", packages, "bookworm", root, MIRROR)
    with open(archive.with_suffix(".part"), "wb") as file:
        made = Archive(file)
        made.add_tree(root, "", LEFT_OUT)
        made.close()
    archive.with_suffix(".part").rename(archive)
    return archive


def make_payload(command: str) -> Path:
    """zcloop as it is installed here, its tests, and what the machine is to do."""
    archive = BUILD / "payload.cpio"
    with open(archive, "wb") as file:
        made = Archive(file)
        made.add("init", stat.S_IFREG | 0o755, (HERE / "guest.sh").read_bytes())
        made.add("zcloop", stat.S_IFDIR | 0o755)
        made.add("zcloop/command", stat.S_IFREG | 0o644, command.encode())
        made.add("zcloop/pyproject.toml", stat.S_IFREG | 0o644, _read("pyproject.toml"))
        for name in ("tests", "examples", "bench"):
            made.add_tree(SOURCE / name, f"zcloop/{name}")
        made.add_tree(Path(sysconfig.get_path("purelib")), "zcloop/packages")
        made.close()
    return archive


def _read(name: str) -> bytes:
    return (SOURCE / name).read_bytes()


# ---- kernels -------------------------------------------------------------------------------------


def run(*command: str | Path, **options: object) -> str:
    """What a command said. Its failure ends this program."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{shlex.join(map(str, command))} failed: {done.stdout[-2000:]}")
    return str(done.stdout)


class Mirror:
    """apt with lists of its own: the machine's are left alone."""

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

    def newest(self, version: str) -> str:
        """The package with the newest kernel of a version such as 6.1."""
        pattern = rf"^linux-image-{re.escape(version)}(\.[0-9]+)*[-+.~a-z0-9]*-cloud-amd64$"
        listed = run("apt-cache", "search", "--names-only", pattern, env=self._environment)
        names = [line.split()[0] for line in listed.splitlines()]
        names = [each for each in names if re.match(rf"linux-image-{re.escape(version)}\.\d", each)]
        if not names:
            sys.exit(f"the mirror has no kernel {version}: apt-cache search linux-image")
        return max(names, key=lambda name: [int(each) for each in re.findall(r"\d+", name)])

    def fetch(self, package: str, folder: Path) -> None:
        run("apt-get", "-qq", "download", package, env=self._environment, cwd=folder)


@dataclass
class Kernel:
    """One kernel: where its image and its modules are, as an archive."""

    package: str

    @property
    def release(self) -> str:
        return self.package.removeprefix("linux-image-")

    @property
    def folder(self) -> Path:
        return BUILD / self.release

    @property
    def image(self) -> Path:
        return self.folder / "boot" / f"vmlinuz-{self.release}"

    @property
    def modules(self) -> Path:
        return self.folder / "modules.cpio"

    def prepare(self, mirror: Mirror, root: Path) -> None:
        if self.modules.exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        mirror.fetch(self.package, self.folder)
        (package,) = self.folder.glob("*.deb")
        run("dpkg-deb", "-x", package, self.folder)
        found = next(
            self.folder / place for place in ("usr/lib/modules", "lib/modules")
            if (self.folder / place).is_dir()
        ) / self.release  # fmt: skip
        kept = self.folder / "kept" / "lib" / "modules" / self.release
        for name in (*MODULES, *(f"drivers/{each}" for each in MODULES_OF_DRIVERS)):
            for source in (found / "kernel").glob(f"{name}*"):
                target = kept / "kernel" / source.relative_to(found / "kernel")
                target.parent.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, target)
        for source in found.glob("modules.*"):
            shutil.copy(source, kept)
        # Debian's depmod, in Debian's root: the machine that this runs on may have none.
        inside = root / "lib" / "modules" / self.release
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(kept, inside, dirs_exist_ok=True)
        run("chroot", root, "depmod", self.release)
        with open(self.modules.with_suffix(".part"), "wb") as file:
            made = Archive(file)
            made.add("usr/lib/modules", stat.S_IFDIR | 0o755)
            made.add_tree(inside, f"usr/lib/modules/{self.release}")
            made.close()
        shutil.rmtree(inside)
        self.modules.with_suffix(".part").rename(self.modules)


# ---- a machine -----------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What came of a kernel's tests."""

    kernel: Kernel
    counts: Counter[str] = field(default_factory=Counter)
    failures: dict[str, str] = field(default_factory=dict)
    skips: Counter[str] = field(default_factory=Counter)

    @property
    def is_known(self) -> bool:
        return bool(self.counts)

    def read(self, results: Path) -> None:
        try:
            cases = ElementTree.parse(results).getroot().iter("testcase")
        except (ElementTree.ParseError, FileNotFoundError):
            return
        for case in cases:
            name = f"{case.get('classname')}::{case.get('name')}"
            found = {each.tag: each for each in case}
            bad = found.get("failure", found.get("error"))
            if bad is not None:
                self.failures[name] = (bad.get("message") or "").strip()[:300]
                self.counts["failed"] += 1
            elif "skipped" in found:
                self.skips[found["skipped"].get("message") or ""] += 1
                self.counts["skipped"] += 1
            else:
                self.counts["passed"] += 1

    def tell(self) -> None:
        counted = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        print(f"{self.kernel.release}: {counted or 'the machine told nothing'}")
        if not self.is_known:
            print(_last_lines(BUILD / f"{self.kernel.release}.log"))
        for name, message in self.failures.items():
            print(f"  FAILED {name}\n         {message.splitlines()[0] if message else ''}")
        for reason, count in self.skips.most_common():
            print(f"  skipped {count}: {reason}")


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(f"  | {line}" for line in lines[-25:])


def boot(kernel: Kernel, archives: list[Path]) -> Outcome:
    """Run the machine to its end."""
    initrd, disk = kernel.folder / "initrd", kernel.folder / "disk"
    results = kernel.folder / "results.xml"
    with open(initrd, "wb") as whole:
        for archive in archives:
            with open(archive, "rb") as part:
                shutil.copyfileobj(part, whole)
    disk.unlink(missing_ok=True)
    results.unlink(missing_ok=True)
    with open(disk, "wb") as file:
        file.truncate(DISK_MB << 20)
    command = [
        "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
        "-smp", str(CPUS), "-m", str(MEMORY_MB), "-display", "none", "-no-reboot", "-nic", "none",
        "-kernel", str(kernel.image), "-initrd", str(initrd),
        "-append", "console=ttyS0 panic=-1 quiet mitigations=off tsc=nowatchdog",
        "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe",
        "-serial", f"file:{BUILD / kernel.release}.log", "-serial", f"file:{results}",
    ]  # fmt: skip
    try:
        subprocess.run(command, timeout=HOURS_MAX * 3600, check=False)
    except subprocess.TimeoutExpired:
        print(f"{kernel.release}: not done within {HOURS_MAX} hours")
    initrd.unlink(missing_ok=True)
    disk.unlink(missing_ok=True)
    outcome = Outcome(kernel)
    outcome.read(results)
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description="Run tests under the kernels that Debian ships.")
    parser.add_argument("--kernels", default=DEFAULT_KERNELS, help=f"as {DEFAULT_KERNELS}")
    parser.add_argument("--environment", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--jobs", type=int, default=1, help="machines at a time, of two CPUs each")
    parser.add_argument("tests", nargs="*", help="what pytest gets; tests/unit and tests/fault")
    options, more = parser.parse_known_args()
    if os.geteuid() != 0:
        parser.error("debootstrap and depmod need root")
    if sys.version_info[:2] != (3, 11):
        parser.error("Debian 12 has Python 3.11: run this with a 3.11 that zcloop is built for")
    for name in ("qemu-system-x86_64", "debootstrap", "apt-get", "dpkg-deb"):
        if shutil.which(name) is None:
            parser.error(f"no {name}: apt-get install qemu-system-x86 debootstrap")
    BUILD.mkdir(parents=True, exist_ok=True)
    root = make_root()
    mirror = Mirror()
    kernels = [Kernel(mirror.newest(version)) for version in options.kernels.split(",")]
    for kernel in kernels:
        kernel.prepare(mirror, BUILD / "root")
    lines = [f"export {shlex.quote(each)}" for each in options.environment]
    lines.append(f"export ZCLOOP_TEST_SLOWNESS={SLOWNESS}")
    lines.append(f"set -- {shlex.join([*(options.tests or DEFAULT_TESTS), *more])}")
    payload = make_payload("\n".join(lines) + "\n")

    with ThreadPoolExecutor(options.jobs) as machines:
        outcomes = list(
            machines.map(lambda kernel: boot(kernel, [root, kernel.modules, payload]), kernels)
        )
    for outcome in outcomes:
        outcome.tell()
    if not all(outcome.is_known for outcome in outcomes):
        return 2
    return int(any(outcome.failures for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
