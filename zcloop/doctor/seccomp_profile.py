"""A seccomp profile under which io_uring works, for Docker, Podman and Kubernetes.

A profile replaces the default one of the container's runtime, so it has to be complete: a list of
all that is allowed. This one refuses what the default profiles of Docker and Podman refuse to a
container without added capabilities, and allows the three calls of io_uring besides. It uses what
every runtime understands. It has no conditions on capabilities, since containerd knows none. So a
container with added capabilities (`--cap-add`) needs the profile of its own runtime with the calls
of io_uring added: `extended` makes that.

The runtimes refuse io_uring because holes have been found in it. Whoever allows it should keep the
kernel up to date.
"""

from __future__ import annotations

import errno
from typing import Any

from zcloop.doctor.allowed_calls import ALLOWED

# The three system calls that the default profiles refuse.
IO_URING = ("io_uring_setup", "io_uring_enter", "io_uring_register")

ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
}
"""For each machine its own architecture, and those whose programs it runs as well."""

# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET: no new namespaces.
_CLONE_NAMESPACES = 0x7E020000
# Linux, UNAME26 (for old programs), both without a random layout of memory, and "what is it now?".
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
# A socket to the host of a virtual machine, past every network namespace.
_AF_VSOCK = 40


def profile(machine: str) -> dict[str, Any]:
    """The profile for `os.uname().machine`. ValueError for one whose calls are not known here."""
    if machine not in ARCHITECTURES:
        raise ValueError(
            f"there is no profile for {machine}, only for {' and '.join(ARCHITECTURES)}: give the "
            "profile of the container's runtime, to which the calls of io_uring are then added"
        )
    own = ["arch_prctl", "modify_ldt"] if machine == "x86_64" else []
    names = sorted({*ALLOWED, *own})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": errno.EPERM,
        "architectures": list(ARCHITECTURES[machine]),
        "syscalls": [
            _allow(IO_URING),
            _allow(names),
            _allow(["clone"], 0, _CLONE_NAMESPACES, "SCMP_CMP_MASKED_EQ"),
            # Its arguments are in memory, where a filter cannot look: libc then takes clone.
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
            *(_allow(["personality"], 0, value, "SCMP_CMP_EQ") for value in _PERSONALITIES),
            _allow(["socket"], 0, _AF_VSOCK, "SCMP_CMP_NE"),
        ],
    }


def _allow(
    names: tuple[str, ...] | list[str],
    index: int | None = None,
    value: int = 0,
    comparison: str = "",
) -> dict[str, Any]:
    rule: dict[str, Any] = {"names": list(names), "action": "SCMP_ACT_ALLOW"}
    if index is not None:
        rule["args"] = [{"index": index, "value": value, "valueTwo": 0, "op": comparison}]
    return rule


def extended(base: Any) -> dict[str, Any]:
    """A copy of a runtime's own profile that allows the calls of io_uring, and refuses them no
    more. ValueError when `base` is no profile."""
    if not isinstance(base, dict) or not isinstance(base.get("syscalls"), list):
        raise ValueError("that is no seccomp profile: it has no list of syscalls")
    rules = []
    for rule in base["syscalls"]:
        names = [name for name in _names(rule) if name not in IO_URING]
        if names:
            kept = {key: value for key, value in rule.items() if key not in ("name", "names")}
            rules.append({"names": names, **kept})
    return {**base, "syscalls": [_allow(IO_URING), *rules]}


def _names(rule: Any) -> list[str]:
    """The names of a rule. The oldest profiles have one name in each rule."""
    if isinstance(rule, dict):
        names = rule.get("names", [rule["name"]] if "name" in rule else None)
        if isinstance(names, list):
            return names
    raise ValueError("that is no seccomp profile: a rule in it has no names")
