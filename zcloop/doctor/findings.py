"""Which of the facts matter: what is wrong, why we think so, and what cures it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from zcloop.doctor import cures
from zcloop.doctor.access import CAUSES, NO_DESCRIPTORS, Access
from zcloop.doctor.cures import Cure
from zcloop.doctor.features import Found
from zcloop.doctor.loops import LoopReport
from zcloop.doctor.memory import POOL_SIZE, Memory
from zcloop.doctor.surroundings import Surroundings

SEVERITIES = {"broken": 2, "less": 1}
"""The exit statuses. `broken`: zcloop cannot run at all; `less`: with less than it could."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it could be."""

    code: str
    severity: str
    title: str
    evidence: tuple[str, ...]
    cures: tuple[Cure, ...]

    @property
    def status(self) -> int:
        """The exit status that this finding asks for."""
        return SEVERITIES[self.severity]


def find(
    access: Access,
    features: list[Found],
    memory: Memory,
    loop: LoopReport,
    around: Surroundings,
) -> list[Finding]:
    """All findings: first what stands in the way, then what is missing."""
    severity = "less" if loop.error is None else "broken"
    found = [_refused(cause, severity, access, around) for cause in access.causes]
    found += _without_loop(loop)
    if access.is_available:
        found += [
            *_without_register(access, around),
            *_without_pins(memory, around),
            *_without_descriptors(features, around),
            *_older_kernel(access, features),
            *_not_used(loop),
        ]
    found += _switched_off(features, loop)
    return found


def _without_loop(loop: LoopReport) -> list[Finding]:
    if loop.error is None:
        return []
    evidence: tuple[str, ...]
    evidence = (f"new_event_loop() raises {loop.error}", f"epoll_create answers {loop.epoll}")
    asked = _asked_backend()
    cure = cures.BACKEND if asked else ()
    if asked:
        evidence += (f"ZCLOOP_BACKEND is {asked!r}",)
    return [Finding("no_loop", "broken", "no event loop can be made", evidence, cure)]


def _asked_backend() -> str | None:
    return os.environ.get("ZCLOOP_BACKEND") or None


def _refused(cause: str, severity: str, access: Access, around: Surroundings) -> Finding:
    """io_uring cannot be had for this cause."""
    return Finding(
        cause,
        severity,
        f"io_uring cannot be had: {CAUSES[cause]}",
        access.evidence,
        cures.ordered(_cures_of(cause, around), around.container),
    )


def _cures_of(cause: str, around: Surroundings) -> tuple[Cure, ...]:
    if cause == "sysctl":
        return cures.SYSCTL_GROUP if around.io_uring_disabled == 1 else cures.SYSCTL
    if cause == "security_module":
        if "selinux" in around.security_modules:
            return cures.SELINUX
        return cures.APPARMOR if "apparmor" in around.security_modules else ()
    return {
        "seccomp": cures.SECCOMP,
        "memlock": cures.MEMLOCK,
        "descriptors": cures.DESCRIPTORS,
        "no_io_uring": cures.NO_IO_URING,
        "old_kernel": cures.KERNEL,
    }.get(cause, ())


def _without_register(access: Access, around: Surroundings) -> list[Finding]:
    if not access.is_register_refused:
        return []
    return [
        Finding(
            "register",
            "less",
            "io_uring works, but a seccomp filter refuses io_uring_register: no buffer rings",
            access.evidence,
            cures.ordered(cures.SECCOMP, around.container),
        )
    ]


def _without_pins(memory: Memory, around: Surroundings) -> list[Finding]:
    if memory.lending_loops is None or memory.lending_loops > 0:
        return []
    evidence = (
        f"RLIMIT_MEMLOCK is {memory.memlock_soft} bytes, and counts for this process",
        f"{memory.pinnable} bytes of it can be pinned now",
        f"a loop's ring is charged {memory.ring_charge or 0} bytes",
        f"a loop that lends memory pins {POOL_SIZE} bytes",
    )
    return [
        Finding(
            "memlock",
            "less",
            "RLIMIT_MEMLOCK leaves no room to pin lent memory: it is used unpinned",
            evidence,
            cures.ordered(cures.MEMLOCK, around.container),
        )
    ]


def _without_descriptors(features: list[Found], around: Surroundings) -> list[Finding]:
    """There were too few descriptors to try everything; a loop will not get far with them."""
    evidence = tuple(
        f"{one.feature.name} {one.outcome.evidence}"
        for one in features
        if one.outcome.answer in NO_DESCRIPTORS
    )
    if not evidence:
        return []
    cure = cures.ordered(cures.DESCRIPTORS, around.container)
    return [Finding("descriptors", "less", CAUSES["descriptors"], evidence, cure)]


def _older_kernel(access: Access, features: list[Found]) -> list[Finding]:
    """Features that the kernel itself lacks: no limit and no filter keeps them away."""
    others = {-errno.ENOMEM, -errno.EPERM, -errno.EACCES, *NO_DESCRIPTORS}
    if access.is_register_refused:
        others.add(-errno.ENOSYS)
    lacking = [
        one for one in features if not one.outcome.is_available and one.outcome.answer not in others
    ]
    if not lacking:
        return []
    evidence = tuple(
        f"{one.feature.name} (Linux {one.feature.since}): {one.outcome.evidence}; without it "
        f"{one.feature.without}"
        for one in lacking
    )
    names = ", ".join(one.feature.name for one in lacking)
    title = f"Linux {os.uname().release} does not have {names}"
    return [Finding("older_kernel", "less", title, evidence, cures.KERNEL)]


def _not_used(loop: LoopReport) -> list[Finding]:
    """io_uring can be had, and the loop runs on something else."""
    if loop.backend in (None, "uring"):
        return []
    asked = _asked_backend()
    evidence = (
        f"the loop says that its backend is {loop.backend}",
        f"ZCLOOP_BACKEND is {asked!r}" if asked else "ZCLOOP_BACKEND is not set",
    )
    title = f"io_uring can be had, and the loop runs on {loop.backend}"
    return [Finding("backend", "less", title, evidence, cures.BACKEND if asked else ())]


def _switched_off(features: list[Found], loop: LoopReport) -> list[Finding]:
    """Features that are there, and that ZCLOOP_WITHOUT names."""
    named = os.environ.get("ZCLOOP_WITHOUT", "")
    off = [
        one.feature.name
        for one in features
        if one.outcome.is_available
        and (one.feature.name in named.split(",") or loop.features.get(one.feature.name) is False)
    ]
    if not named or not off:
        return []
    title = f"ZCLOOP_WITHOUT switches off {', '.join(off)}"
    return [Finding("switched_off", "less", title, (f"it is {named!r}",), cures.WITHOUT)]
