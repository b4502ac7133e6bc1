"""Debian's ordinary kernels in qemu, which emulates the processors (TCG) and uses no /dev/kvm.

A machine is a kernel and an initramfs: Debian's root, the kernel's modules, zcloop and its tests,
one after another. /tmp is an ext4 disk. The emulation is ten to thirty times slower than the real
machine, so all unit and fault tests take hours. It has two processors; User Mode Linux has one.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from debian import Kernel, Mirror, run

# Folders of the root that no test reads.
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt")
# Modules of a kernel that a test, or the disk, may need.
MODULES = "net", "crypto", "lib", "arch/x86/crypto", "fs/ext4", "fs/jbd2", "fs/mbcache.ko"
MODULES_OF_DRIVERS = "virtio", "block/virtio_blk.ko", "net/veth.ko", "net/dummy.ko", "net/tun.ko"

MEMORY_MB = 6144
DISK_MB = 2048
CPUS = 2
HOURS_MAX = 6
SLOWNESS = 20
GUEST = {"DISK": "/dev/vda", "RESULTS": "/dev/ttyS1"}


class Archive:
    """A cpio archive in the form that the kernel unpacks ("newc"). A file may hold several."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._count = 0

    def add(self, name: str, mode: int, data: bytes = b"", device: int = 0) -> None:
        """Add one file, folder or link of root's. The data of a link is its target."""
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
        """Add what is in a folder, without what is in any of the left-out folders."""
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


@dataclass
class Emulated(Kernel):
    """A kernel: where its image is, and its modules as an archive."""

    package: str

    @classmethod
    def find(cls, mirror: Mirror, version: str) -> Emulated | None:
        """Return the newest kernel of a version such as 6.1, if Debian has one."""
        pattern = rf"^linux-image-{re.escape(version)}(\.[0-9]+)*[-+.~a-z0-9]*-cloud-amd64$"
        exact = rf"linux-image-{re.escape(version)}\.\d"
        names = [each for each in mirror.names(pattern) if re.match(exact, each)]
        if not names:
            return None
        return cls(max(names, key=lambda name: [int(each) for each in re.findall(r"\d+", name)]))

    @property
    def release(self) -> str:
        return self.package.removeprefix("linux-image-")

    @property
    def modules(self) -> Path:
        return self.folder / "modules.cpio"

    def prepare(self, mirror: Mirror, root: Path) -> None:
        """Fetch the kernel, and pack the modules that a test may need."""
        if self.modules.exists():
            return
        mirror.unpack(self.package, self.folder)
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
        # depmod of Debian's root, since this machine may have none.
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

    def boot(self, root: Path, payload: Path) -> Path:
        """Run the machine to its end. Return the path of the results; it exists if it told any."""
        initrd, disk = self.folder / "initrd", self.folder / "disk"
        results = self.folder / "results.xml"
        results.unlink(missing_ok=True)
        with open(initrd, "wb") as file:
            for tree, left_out in ((root, LEFT_OUT), (payload, ())):
                made = Archive(file)
                made.add_tree(tree, "", left_out)
                made.close()
            with open(self.modules, "rb") as modules:
                shutil.copyfileobj(modules, file)
        with open(disk, "wb") as file:
            file.truncate(DISK_MB << 20)
        command = [
            "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max",
            "-smp", str(CPUS), "-m", str(MEMORY_MB), "-display", "none", "-no-reboot",
            "-nic", "none", "-kernel", str(self.folder / f"boot/vmlinuz-{self.release}"),
            "-initrd", str(initrd),
            "-append", "console=ttyS0 panic=-1 quiet mitigations=off tsc=nowatchdog no_timer_check",
            "-drive", f"file={disk},if=virtio,format=raw,cache=unsafe",
            "-serial", f"file:{self.log}", "-serial", f"file:{results}",
        ]  # fmt: skip
        subprocess.run(command, timeout=HOURS_MAX * 3600, check=False)
        initrd.unlink()
        disk.unlink()
        return results
