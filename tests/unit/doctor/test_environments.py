"""The doctor in five real environments and their kin: right diagnosis, evidence, and cure."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

SYSCTL = pathlib.Path("/proc/sys/kernel/io_uring_disabled")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user: needs root")

# Everything is imported and looked at once before the user changes: the other one may not read our
# files.
AS_A_USER = """
import json, os, resource, sys
from zcloop.doctor import report
from zcloop.doctor.surroundings import Surroundings
from zcloop.doctor.system_calls import SystemCalls

report.gather(SystemCalls(), Surroundings())
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
os.setgroups([])
os.setresgid(65534, 65534, 65534)
os.setresuid(65534, 65534, 65534)
print(json.dumps(report.as_dict(report.gather(SystemCalls(), Surroundings()))))
"""
# The sysctl is that of the whole machine. So it is wrong for a short time only: between a byte to
# this process and its answer.
ON_A_WORD = """
import json, sys
from zcloop.doctor import report
from zcloop.doctor.surroundings import Surroundings
from zcloop.doctor.system_calls import SystemCalls

report.gather(SystemCalls(), Surroundings())
print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(report.as_dict(report.gather(SystemCalls(), Surroundings()))), flush=True)
"""


def as_a_user(memlock):
    command = [sys.executable, "-P", "-c", AS_A_USER, str(memlock)]
    shown = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True)
    return json.loads(shown.stdout)


def lines(found):
    """Return all that the cures say to type."""
    return [
        line for finding in found["findings"] for cure in finding["cures"] for line in cure["lines"]
    ]


def test_healthy(needs_io_uring, diagnosis):
    found = diagnosis()
    assert found["io_uring"]["available"] and found["io_uring"]["causes"] == []
    assert found["loop"]["backend"] == "uring" and found["loop"]["error"] is None
    codes = {finding["code"] for finding in found["findings"]}
    # An older kernel is healthy as well, and may lack features.
    assert codes <= {"older_kernel"} and found["status"] == len(codes)


@pytest.mark.parametrize("error", ["EPERM", "ENOSYS", "EACCES"])
def test_seccomp(error, diagnosis, status_without_io_uring):
    found = diagnosis(refuse=f"--errno {error}")
    assert found["io_uring"]["causes"] == ["seccomp"]
    assert found["io_uring"]["answers"]["setup"] == error
    assert found["io_uring"]["answers"]["enter"] == error
    assert found["io_uring"]["seccomp"]["mode"] == "filter"
    assert found["status"] == status_without_io_uring
    assert "docker run --security-opt seccomp=io_uring.json IMAGE" in lines(found)
    assert not any(
        one["available"] for name, one in found["features"].items() if name != "segmented_send"
    )


def test_seccomp_that_lets_rings_be_made_and_not_entered(
    needs_io_uring, diagnosis, status_without_io_uring
):
    found = diagnosis(refuse="--only enter")
    assert found["io_uring"]["causes"] == ["seccomp"]
    answers = found["io_uring"]["answers"]
    assert (answers["setup"], answers["enter"], answers["request"]) == ("OK", "EPERM", "EPERM")
    assert found["status"] == status_without_io_uring


def test_seccomp_that_refuses_only_to_register(needs_io_uring, diagnosis):
    here = [finding["code"] for finding in diagnosis()["findings"]]  # such as an older kernel
    found = diagnosis(refuse="--only register")
    assert found["io_uring"]["available"] and found["status"] == 1
    assert sorted(finding["code"] for finding in found["findings"]) == sorted(["register", *here])
    assert not found["features"]["multishot_receive"]["available"]
    assert (
        found["features"]["push"]["available"]
        or "EPERM" not in (found["features"]["push"]["evidence"])
    )


def test_a_security_module(needs_io_uring, diagnosis, status_without_io_uring):
    # It decides inside io_uring_setup: the other calls reach the kernel.
    found = diagnosis(refuse="--errno EACCES --only setup")
    assert found["io_uring"]["causes"] == ["security_module"]
    assert found["status"] == status_without_io_uring


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not SYSCTL.exists(),
    reason="puts a file over the sysctl in a mount namespace: needs root, unshare and Linux 6.6",
)
@pytest.mark.parametrize("value", [1, 2])
def test_sysctl_shown_in_a_mount_namespace(
    value, needs_io_uring, diagnosis, tmp_path, status_without_io_uring
):
    shown = tmp_path / "io_uring_disabled"
    shown.write_text(f"{value}\n")
    mount = f'mount --bind {shown} {SYSCTL} && exec "$@"'
    if value == 1:  # root is allowed then, unless it has no capability and is in another group
        mount = mount.replace(
            "exec", "exec setpriv --bounding-set -sys_admin --inh-caps -sys_admin"
        )
    before = ("unshare", "--mount", "sh", "-c", mount, "sh")
    found = diagnosis(before=before, refuse="--only setup")
    assert found["io_uring"]["causes"] == ["sysctl"]
    assert found["io_uring"]["sysctl"] == value
    assert found["status"] == status_without_io_uring
    assert "sysctl -w kernel.io_uring_disabled=0" in lines(found)


@pytest.mark.skipif(
    not ({"CI", "ZCLOOP_SYSCTL"} & set(os.environ)),
    reason="switches io_uring off for the whole machine for a moment: ZCLOOP_SYSCTL=1 runs it",
)
@pytest.mark.skipif(not os.access(SYSCTL, os.W_OK), reason="the sysctl cannot be written here")
def test_sysctl_itself(needs_io_uring, status_without_io_uring):
    command = [sys.executable, "-P", "-c", ON_A_WORD]
    with subprocess.Popen(
        command, cwd="/", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        before = SYSCTL.read_text()
        SYSCTL.write_text("2\n")
        try:
            process.stdin.write("now\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        finally:
            SYSCTL.write_text(before)
        process.stdin.close()
    found = json.loads(answer)
    assert SYSCTL.read_text() == before
    assert found["io_uring"]["causes"] == ["sysctl"] and found["io_uring"]["sysctl"] == 2
    assert found["io_uring"]["answers"]["enter"] != "EPERM"
    assert found["status"] == status_without_io_uring


@needs_root
def test_memlock_0(needs_io_uring, status_without_io_uring):
    found = as_a_user(0)
    assert found["memory"]["memlock_soft"] == 0 and found["memory"]["is_limited"]
    if found["io_uring"]["available"]:  # before 6.13 rings are not charged
        assert found["status"] == 1
        assert [finding["code"] for finding in found["findings"]][:1] == ["memlock"]
    else:
        assert found["io_uring"]["causes"] == ["memlock"]
        assert found["io_uring"]["answers"]["setup"] == "ENOMEM"
        assert found["status"] == status_without_io_uring
    assert "LimitMEMLOCK=64M" in lines(found)


@needs_root
def test_ordinary_user(needs_io_uring):
    found = as_a_user(8 << 20)
    assert found["io_uring"]["available"]
    assert found["memory"]["is_limited"]
    assert 1 <= found["memory"]["lending_loops"] <= 5
    codes = {finding["code"] for finding in found["findings"]}
    assert codes <= {"older_kernel"} and found["status"] == len(codes)


@needs_root
def test_ordinary_user_whose_limit_has_room_for_rings_and_not_for_pinning(needs_io_uring):
    found = as_a_user(1_000_000)
    assert found["io_uring"]["available"] and found["status"] == 1
    assert "memlock" in {finding["code"] for finding in found["findings"]}
    assert found["memory"]["pinnable"] < 1_000_000 and found["memory"]["lending_loops"] == 0


def test_what_the_environment_switches_off(needs_io_uring, diagnosis):
    found = diagnosis(ZCLOOP_WITHOUT="multishot_receive,send_zero_copy")
    titles = {finding["code"]: finding["title"] for finding in found["findings"]}
    assert titles["switched_off"] == "ZCLOOP_WITHOUT switches off multishot_receive, send_zero_copy"
    assert found["status"] == 1
