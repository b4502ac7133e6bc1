"""What answers of the kernel mean, as a table. Each line is a machine, known by its evidence."""

from __future__ import annotations

import errno
import os

import pytest

from zcloop.doctor import findings
from zcloop.doctor.access import CAUSES, Access, Answers, ask, judge
from zcloop.doctor.loops import LoopReport
from zcloop.doctor.memory import Memory
from zcloop.doctor.surroundings import Surroundings
from zcloop.doctor.system_calls import SystemCalls

NEEDED = 1 << 1 | 1 << 8 | 1 << 11
PERM, ACCES, NOSYS, BADF = -errno.EPERM, -errno.EACCES, -errno.ENOSYS, -errno.EBADF
INVAL, NOMEM, MFILE = -errno.EINVAL, -errno.ENOMEM, -errno.EMFILE


def refused(setup, enter=BADF, register=BADF, small=None):
    return Answers(setup, enter, register, small)


def granted(request=0, features=NEEDED, enter=BADF, register=INVAL):
    return Answers(0, enter, register, None, request, features, "plain")


@pytest.fixture
def machine(tmp_path):
    """Make the files of a machine: `filtered` by seccomp, with or without privileges, a sysctl."""

    def make(filtered=False, sysctl=None, group=-1, capabilities=0, modules="", version=""):
        files = {
            "proc/self/status": f"Name:\tpython\nCapEff:\t{capabilities:016x}\n"
            f"NoNewPrivs:\t0\nSeccomp:\t{2 if filtered else 0}\nSeccomp_filters:\t{filtered:d}\n",
            "sys/kernel/security/lsm": modules,
        }
        if sysctl is not None:
            files["proc/sys/kernel/io_uring_disabled"] = f"{sysctl}\n"
            files["proc/sys/kernel/io_uring_group"] = f"{group}\n"
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        return Surroundings(tmp_path)

    return make


ADMIN = 1 << 21
LOCK = 1 << 14
MACHINES = {
    "healthy": (granted(), {"sysctl": 0}, []),
    "healthy, filtered by a profile that allows it": (granted(), {"filtered": True}, []),
    "sysctl 2": (refused(PERM), {"sysctl": 2}, ["sysctl"]),
    "sysctl 2, also for root": (refused(PERM), {"sysctl": 2, "capabilities": ADMIN}, ["sysctl"]),
    "sysctl 1": (refused(PERM), {"sysctl": 1}, ["sysctl"]),
    "sysctl 2 below a filter that allows it": (
        refused(PERM), {"sysctl": 2, "filtered": True}, ["sysctl"],
    ),
    "sysctl 2 and a filter": (
        refused(PERM, PERM, PERM), {"sysctl": 2, "filtered": True}, ["sysctl", "seccomp"],
    ),
    "sysctl 1, for which root may, and a filter": (
        refused(PERM, PERM, PERM),
        {"sysctl": 1, "filtered": True, "capabilities": ADMIN},
        ["seccomp"],
    ),
    "Docker": (refused(PERM, PERM, PERM), {"sysctl": 0, "filtered": True}, ["seccomp"]),
    "Docker, on Linux 6.1": (refused(PERM, PERM, PERM), {"filtered": True}, ["seccomp"]),
    "a filter of setup alone": (refused(PERM), {"sysctl": 0, "filtered": True}, ["seccomp"]),
    "a filter of enter alone": (granted(PERM, enter=PERM), {"filtered": True}, ["seccomp"]),
    "a filter that says ENOSYS": (
        refused(NOSYS, NOSYS, NOSYS), {"sysctl": 0, "filtered": True}, ["seccomp"],
    ),
    "a kernel without it": (refused(NOSYS, NOSYS, NOSYS), {}, ["no_io_uring"]),
    "a filter that says EACCES": (
        refused(ACCES, ACCES, ACCES), {"sysctl": 0, "filtered": True}, ["seccomp"],
    ),
    "SELinux": (
        refused(ACCES), {"sysctl": 0, "modules": "capability,selinux"}, ["security_module"],
    ),
    "AppArmor in a container": (
        refused(ACCES), {"filtered": True, "modules": "apparmor"}, ["security_module"],
    ),
    "EPERM from a security module": (refused(PERM), {"modules": "smack"}, ["security_module"]),
    "EPERM from nobody knows where": (refused(PERM), {"sysctl": 0}, ["unknown"]),
    "no lockable memory": (refused(NOMEM, small=NOMEM), {}, ["memlock"]),
    "no memory at all": (refused(NOMEM, small=NOMEM), {"capabilities": LOCK}, ["memory"]),
    "too many files": (refused(MFILE), {}, ["descriptors"]),
    "too few files to map a ring": (granted(MFILE), {}, ["descriptors"]),
    "Linux 5.4": (refused(INVAL), {}, ["old_kernel"]),
    "Linux 5.10": (granted(features=1 << 1), {}, ["old_kernel"]),
    "a ring that cannot be mapped": (granted(NOMEM), {}, ["memory"]),
    "a ring that answers nonsense": (granted(INVAL), {}, ["unknown"]),
}  # fmt: skip


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda _: (65536, 65536))


@pytest.mark.parametrize(("answers", "files", "causes"), MACHINES.values(), ids=MACHINES)
def test_the_cause_is_known_from_the_evidence(answers, files, causes, machine, little_memory):
    found = judge(answers, machine(**files))
    assert list(found.causes) == causes
    assert found.is_available == (not causes)
    assert len(found.evidence) >= 4


def test_what_an_old_ring_lacks_is_evidence(machine):
    found = judge(granted(features=1 << 1), machine())
    assert "the ring's features do not have EXT_ARG, CQE_SKIP" in found.evidence
    assert not any("do not have" in line for line in judge(granted(), machine()).evidence)


def test_sysctl_1_is_no_cause_for_a_member_of_its_group(machine):

    around = machine(sysctl=1, group=os.getegid(), filtered=True)
    assert judge(refused(PERM, PERM, PERM), around).causes == ("seccomp",)


def test_a_filter_that_refuses_to_register_leaves_rings_usable(machine):
    found = judge(granted(register=PERM), machine(filtered=True))
    assert found.is_available and found.is_register_refused


def test_every_cause_is_said_and_the_known_ones_are_cured(machine):
    around = machine(modules="apparmor")
    memory = Memory(0, 0, True, None, None, None, None, None, None)
    loop = LoopReport("epoll", {}, None, "OK")
    assert {cause for *_, causes in MACHINES.values() for cause in causes} == set(CAUSES)
    for cause in CAUSES:
        found = findings.find(Access(refused(PERM), (cause,), ("seen",)), [], memory, loop, around)
        assert [one.code for one in found] == [cause]
        assert found[0].severity == "less" and CAUSES[cause] in found[0].title
        assert bool(found[0].cures) == (cause not in ("unknown", "memory"))


@pytest.mark.parametrize(
    ("modules", "word"), [("selinux,bpf", "semodule"), ("apparmor", "apparmor_parser")]
)
def test_the_cure_is_of_the_security_module_that_runs(modules, word, machine):
    memory = Memory(0, 0, True, None, None, None, None, None, None)
    access = Access(refused(ACCES), ("security_module",), ())
    loop = LoopReport("epoll", {}, None, "OK")
    (found,) = findings.find(access, [], memory, loop, machine(modules=modules))
    assert any(word in line for cure in found.cures for line in cure.lines)


def test_cures_for_where_we_are_come_first(machine, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    memory = Memory(0, 0, True, None, None, None, None, None, None)
    access = Access(refused(PERM), ("seccomp",), ())
    loop = LoopReport("epoll", {}, None, "OK")
    (found,) = findings.find(access, [], memory, loop, machine())
    assert found.cures[0].where == "kubernetes"
    assert {cure.where for cure in found.cures} >= {"docker", "podman", "systemd"}


class Refusing(SystemCalls):
    """A kernel that answers every setup so, except those of at most `small` entries."""

    def __init__(self, answer, small=0):
        super().__init__()
        self.answer = answer
        self.small = small
        self.asked = []

    def setup(self, entries, params):
        self.asked.append(entries)
        return super().setup(entries, params) if entries <= self.small else self.answer


def test_short_of_memory_a_ring_with_fewer_entries_is_asked_for(needs_io_uring):
    calls = Refusing(NOMEM, small=1)
    found = ask(calls)
    assert (found.setup, found.small_setup) == (NOMEM, 0)
    assert calls.asked == [256, 1]


def test_a_ring_that_cannot_be_mapped_is_an_answer_and_no_error(needs_io_uring, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(errno.ENOMEM, "no address space")

    monkeypatch.setattr("mmap.mmap", refuse)
    assert ask(SystemCalls()).request == NOMEM


def test_flags_that_a_kernel_does_not_know_are_left_out_one_set_after_another():
    calls = Refusing(INVAL)
    assert ask(calls).setup == INVAL
    assert calls.asked == [256, 256, 256]


def test_files_that_are_missing_are_unknown_and_no_error(tmp_path):
    around = Surroundings(tmp_path)
    assert around.seccomp is None and around.io_uring_disabled is None
    assert around.security_modules == () and around.memory == {}
    assert judge(granted(), around).is_available


def test_what_is_no_number_is_unknown(tmp_path):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/status").write_text("Seccomp:\tmany\nbroken line\n")
    assert Surroundings(tmp_path).seccomp is None
