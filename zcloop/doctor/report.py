"""Everything that was found, as one object, and as JSON that `schema.json` describes."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
from dataclasses import dataclass
from typing import Any

from zcloop.doctor import access, features, findings, interfaces, loops, memory
from zcloop.doctor.surroundings import Surroundings
from zcloop.doctor.system_calls import SystemCalls, name_of

SCHEMA = 1
"""The version of the JSON's form. It changes when a reader of it has to change."""


@dataclass(frozen=True)
class Report:
    """What the parts found. Each part says what its fields mean."""

    versions: dict[str, str | None]
    access: access.Access
    features: list[features.Found]
    memory: memory.Memory
    interfaces: list[interfaces.Interface]
    congestion_control: tuple[str | None, list[str]]
    loop: loops.LoopReport
    findings: list[findings.Finding]
    around: Surroundings

    @property
    def status(self) -> int:
        """The exit status: 0 everything is there, 1 zcloop runs with less, 2 it cannot run."""
        return max((finding.status for finding in self.findings), default=0)

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        if self.status == 2:
            return "zcloop cannot run here: " + "; ".join(one.title for one in self.findings)
        backend = "io_uring" if self.loop.backend == "uring" else self.loop.backend
        if self.status == 0:
            return f"zcloop runs on {backend}, and nothing is missing."
        return f"zcloop runs on {backend}, with less: " + "; ".join(
            one.title for one in self.findings
        )

    @property
    def advice(self) -> str:
        """What to do about it in one line."""
        cures = [cure for finding in self.findings for cure in finding.cures]
        if not self.findings:
            return "Nothing to do."
        if not cures:
            return "No cure is known: python -m zcloop doctor --issue prints what a report needs."
        if len(cures) == 1 and len(cures[0].lines) == 1:
            return f"What to type ({cures[0].where}): {cures[0].lines[0]}"
        return "What to type stands below each finding, for where you are."


def gather(calls: SystemCalls, around: Surroundings) -> Report:
    """Ask everything. That takes some milliseconds, and leaves nothing open."""
    found = access.judge(access.ask(calls), around)
    has_ring = found.answers.setup >= 0 and found.answers.request == 0
    table = features.find(calls, has_ring)
    room = memory.look(calls, around, has_ring)
    loop = loops.ask()
    return Report(
        _versions(),
        found,
        table,
        room,
        interfaces.look(),
        interfaces.congestion_control(around),
        loop,
        findings.find(found, table, room, loop, around),
        around,
    )


def _versions() -> dict[str, str | None]:
    import zcloop

    is_gil_on = getattr(sys, "_is_gil_enabled", lambda: True)()
    system = os.uname()
    return {
        "zcloop": zcloop.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}"
        + ("" if is_gil_on else ", without the GIL"),
        "kernel": system.release,
        "machine": system.machine,
        "libc": " ".join(platform.libc_ver()).strip() or None,
        "liburing": _liburing(),
    }


def _liburing() -> str | None:
    """What makes zcloop's system calls: direct, or the path or version of a C liburing."""
    try:
        from zcloop._native.ring import liburing
    except ImportError:
        return None
    provider = getattr(liburing, "provider", None)
    return None if provider is None else os.path.basename(str(provider))


def as_dict(report: Report) -> dict[str, Any]:
    """What `--json` prints."""
    default, available = report.congestion_control
    return {
        "schema": SCHEMA,
        "status": report.status,
        "summary": report.summary,
        "advice": report.advice,
        "versions": report.versions,
        "io_uring": _access_dict(report),
        "features": {one.feature.name: _feature_dict(one) for one in report.features},
        "loop": dataclasses.asdict(report.loop),
        "memory": dataclasses.asdict(report.memory),
        "interfaces": [dataclasses.asdict(one) for one in report.interfaces],
        "congestion_control": {"default": default, "available": available},
        "findings": [
            {
                **dataclasses.asdict(finding),
                "evidence": list(finding.evidence),
                "cures": [
                    {"where": cure.where, "lines": list(cure.lines)} for cure in finding.cures
                ],
            }
            for finding in report.findings
        ],
    }


def _access_dict(report: Report) -> dict[str, Any]:
    answers, around = report.access.answers, report.around

    def named(answer: int | None) -> str | None:
        return None if answer is None else name_of(answer)

    return {
        "available": report.access.is_available,
        "causes": list(report.access.causes),
        "evidence": list(report.access.evidence),
        "mode": answers.mode,
        "answers": {
            "setup": named(answers.setup),
            "small_setup": named(answers.small_setup),
            "enter": named(answers.enter),
            "register": named(answers.register),
            "request": named(answers.request),
        },
        "sysctl": around.io_uring_disabled,
        "seccomp": None if around.seccomp is None else dataclasses.asdict(around.seccomp),
        "security_modules": list(around.security_modules),
        "security_label": around.security_label,
        "container": around.container,
    }


def _feature_dict(found: features.Found) -> dict[str, Any]:
    return {
        "available": found.outcome.is_available,
        "since": found.feature.since,
        "what": found.feature.what,
        "without": found.feature.without,
        "evidence": found.outcome.evidence,
    }
