"""The doctor in processes of its own: as this machine is, and as others are."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

import zcloop
from zcloop.doctor.probe_ring import ProbeRing, RefusedError
from zcloop.doctor.system_calls import SystemCalls

LAUNCHER = pathlib.Path(__file__).parents[2] / "refuse_uring.py"
# The part of the environment that a program needs, without ZCLOOP_ switches and container marks.
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}

Doctor = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def doctor() -> Doctor:
    """Run it with these arguments; `before` comes before the command, `refuse` is what the
    launcher is asked to refuse."""

    def run(
        *arguments: str, before: tuple[str, ...] = (), refuse: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        launcher = [] if refuse is None else [sys.executable, str(LAUNCHER), *refuse.split(), "--"]
        command = [*before, *launcher, sys.executable, "-P", "-m", "zcloop", "doctor", *arguments]
        return subprocess.run(
            command,
            cwd="/",
            env={**ENVIRONMENT, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def diagnosis(doctor: Doctor) -> Callable[..., dict[str, Any]]:
    """Return what `--json` prints. The exit status has to agree with it."""

    def run(**options: Any) -> dict[str, Any]:
        shown = doctor("--json", **options)
        assert shown.stderr == ""
        found: dict[str, Any] = json.loads(shown.stdout)
        assert shown.returncode == found["status"]
        return found

    return run


@pytest.fixture(scope="session")
def status_without_io_uring() -> int:
    """The exit status without io_uring: 1 if there is a second backend, 2 if there is none."""
    return 1 if hasattr(zcloop.Loop, "backend") else 2


@pytest.fixture
def needs_io_uring(backend: str) -> None:
    try:
        ProbeRing(SystemCalls()).close()
    except RefusedError as refusal:
        pytest.skip(f"io_uring is refused to this process: {refusal.strerror}")
    if backend != "uring":
        pytest.skip("rings can be made, but loops do not run on them: the kernel is too old")
