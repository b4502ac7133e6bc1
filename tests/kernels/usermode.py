"""Kernels as processes: User Mode Linux, which Debian builds of the kernel of each of its releases.

The kernel's own code runs, with Debian's settings, and programs run on the processor itself, so
that the unit and fault tests take half an hour a kernel. What it has not: a second processor.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from debian import BUILD, Kernel, Mirror

PACKAGE = "user-mode-linux"
MEMORY_MB = 4096
DISK_MB = 2048
HOURS_MAX = 3
# A system call takes some 50 us, where the processor's own takes 0.1.
SLOWNESS = 10
# A page of a program is a mapping of the process that stands for it.
MAPPINGS_MAX = Path("/proc/sys/vm/max_map_count")
MAPPINGS = 1 << 20
# What pytest is not to run. Before 6.12, what a forked child of User Mode Linux maps in the place of
# a mapping that its parent kept from it (MADV_DONTFORK) is the parent's memory still: a ring that the
# child makes is the parent's as well, or what is read there is nonsense. Plain mmap() and fork() show
# it, without zcloop; 6.12 does not have it.
LEFT_OUT = {
    "5.10": "--deselect tests/unit/loop/test_fork.py::"
    "test_parent_and_child_each_go_on_after_a_fork_inside_the_running_loop",
    "6.1": "-k 'not fork'",
}
GUEST = {"DISK": "/dev/ubda", "RESULTS": "/zcloop/results.xml"}


@dataclass
class UserMode(Kernel):
    """A kernel that runs in a folder of its own, with the C library that it was linked for."""

    version: str
    package_version: str
    suite: str

    @classmethod
    def find(cls, mirror: Mirror, version: str) -> UserMode | None:
        """The kernel of a version such as 6.1, if Debian has it."""
        for package_version, suite in mirror.versions(PACKAGE):
            if re.match(rf"{re.escape(version)}(\.\d+)*um", package_version):
                return cls(version, package_version, suite.removesuffix("-security"))
        return None

    @property
    def release(self) -> str:
        return f"{self.version}-um"

    @property
    def options(self) -> str:
        return LEFT_OUT.get(self.version, "")

    def prepare(self, mirror: Mirror, root: Path) -> None:
        """Fetch the kernel and its C library."""
        if (self.folder / "whole").exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        for package in (f"{PACKAGE}={self.package_version}", f"libc6/{self.suite}"):
            mirror.unpack(package, self.folder)
        for name in ("lib", "lib64"):
            if not (self.folder / name).exists():
                (self.folder / name).symlink_to(f"usr/{name}")
        for name in ("proc", "dev", "tmp", "root", "guest", "whole"):
            (self.folder / name).mkdir()

    def boot(self, root: Path, payload: Path) -> Path:
        """Run it to its end. The path of the results, which is there if it told any.

        Raises the limit of mappings of this machine's processes (vm.max_map_count), for good.
        """
        if int(MAPPINGS_MAX.read_text()) < MAPPINGS:
            MAPPINGS_MAX.write_text(f"{MAPPINGS}\n")
        changed = BUILD / f"{self.release}.changed"
        shutil.rmtree(changed, ignore_errors=True)
        shutil.copytree(self.folder / "usr/lib/uml/modules", changed / "upper/usr/lib/modules")
        (changed / "work").mkdir()
        with open(self.folder / "disk", "wb") as file:
            file.truncate(DISK_MB << 20)
        kernel = [
            "/usr/bin/linux.uml", "ubd0=/disk", "root=/dev/root", "rootfstype=hostfs",
            "rootflags=/guest", "rw", f"mem={MEMORY_MB}M", "init=/init", "quiet",
            "con=null", "con0=null,fd:1", "panic=-1",
        ]  # fmt: skip
        overlay = f"lowerdir={payload}:{root},upperdir={changed}/upper,workdir={changed}/work"
        script = "\n".join(
            (
                f"set -e; cd {shlex.quote(str(self.folder))}",
                "mount --rbind /proc proc; mount --rbind /dev dev",
                f"mount -t overlay overlay -o {shlex.quote(overlay)} guest",
                f"exec chroot . {shlex.join(kernel)}",
            )
        )
        with open(self.log, "wb") as log:
            subprocess.run(
                ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=HOURS_MAX * 3600,
                check=False,
            )
        (self.folder / "disk").unlink()
        return changed / f"upper{GUEST['RESULTS']}"
