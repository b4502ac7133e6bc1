"""What the machine's files say: limits, sysctls, seccomp, security modules, container, memory.

Everything is read below `root`, so that a test can show other files. A file that is missing or
cannot be read is an unknown (None), and never an error.
"""

from __future__ import annotations

import os
import pathlib
import resource
from dataclasses import dataclass
from functools import cached_property

# The numbers of <linux/capability.h>.
CAP_IPC_LOCK = 14
CAP_SYS_ADMIN = 21

# What /proc/self/status says after `Seccomp:`.
SECCOMP_MODES = {0: "none", 1: "strict", 2: "filter"}


@dataclass(frozen=True)
class Seccomp:
    """The `Seccomp:`, `Seccomp_filters:` and `NoNewPrivs:` of /proc/self/status."""

    mode: str
    filters: int | None
    no_new_privs: bool | None


class Surroundings:
    """The files below one root, each read when it is first asked for."""

    def __init__(self, root: str | os.PathLike[str] = "/") -> None:
        self.root = pathlib.Path(root)

    def read(self, path: str) -> str | None:
        """The text of the file without spaces at its ends, or None."""
        try:
            text = (self.root / path).read_text(errors="replace")
        except OSError:
            return None
        return text.strip("\0 \n\t")

    def number(self, path: str) -> int | None:
        """The one number that the file holds, or None."""
        try:
            return int(self.read(path) or "")
        except ValueError:
            return None

    @cached_property
    def status(self) -> dict[str, str]:
        """The values of /proc/self/status by their names."""
        lines = (self.read("proc/self/status") or "").splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def io_uring_disabled(self) -> int | None:
        """The sysctl: 0 all may, 1 a group and CAP_SYS_ADMIN may, 2 nobody. None before 6.6."""
        return self.number("proc/sys/kernel/io_uring_disabled")

    @property
    def io_uring_group(self) -> int | None:
        """The group that may use io_uring while the sysctl is 1. None before 6.6."""
        return self.number("proc/sys/kernel/io_uring_group")

    @property
    def is_in_io_uring_group(self) -> bool:
        """Whether this process is in that group."""
        return self.io_uring_group in {os.getegid(), *os.getgroups()}

    @property
    def seccomp(self) -> Seccomp | None:
        """None without /proc, or with a kernel without seccomp."""
        mode = _number(self.status.get("Seccomp"))
        if mode is None:
            return None
        privileges = self.status.get("NoNewPrivs")
        return Seccomp(
            SECCOMP_MODES.get(mode, str(mode)),
            _number(self.status.get("Seccomp_filters")),
            None if privileges is None else privileges == "1",
        )

    def has_capability(self, number: int) -> bool:
        """Whether CapEff has it; False where that cannot be read."""
        return bool(int(self.status.get("CapEff", "0"), 16) >> number & 1)

    @property
    def security_modules(self) -> tuple[str, ...]:
        """The modules with policies that run here: selinux, apparmor, smack, tomoyo."""
        listed = (self.read("sys/kernel/security/lsm") or "").split(",")
        found = [name for name in ("selinux", "apparmor", "smack", "tomoyo") if name in listed]
        if not listed[0]:  # securityfs is not there in most containers
            if (self.root / "sys/fs/selinux/enforce").exists():
                found.append("selinux")
            if self.read("sys/module/apparmor/parameters/enabled") == "Y":
                found.append("apparmor")
        return tuple(found)

    @property
    def security_label(self) -> str | None:
        """What the security module calls this process; None where there is none."""
        return self.read("proc/self/attr/current") or None

    @property
    def memlock(self) -> tuple[int | None, int | None]:
        """RLIMIT_MEMLOCK in bytes, soft and hard; None for no limit."""
        soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
        unlimited = resource.RLIM_INFINITY
        return None if soft == unlimited else soft, None if hard == unlimited else hard

    @property
    def container(self) -> str | None:
        """docker, podman, kubernetes or systemd, if something says so."""
        if "KUBERNETES_SERVICE_HOST" in os.environ:
            return "kubernetes"
        if (self.root / "run/.containerenv").exists():
            return "podman"
        if (self.root / ".dockerenv").exists():
            return "docker"
        return "systemd" if "INVOCATION_ID" in os.environ else None

    @cached_property
    def memory(self) -> dict[str, int]:
        """The values of /proc/meminfo by their names: bytes, or counts of huge pages."""
        found = {}
        for line in (self.read("proc/meminfo") or "").splitlines():
            name, _, value = line.partition(":")
            number, _, unit = value.strip().partition(" ")
            if number.isdecimal():
                found[name] = int(number) * (1024 if unit == "kB" else 1)
        return found


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
