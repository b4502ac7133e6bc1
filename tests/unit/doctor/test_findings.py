"""The verdict that follows from what a loop, the environment and the kernel say."""

from __future__ import annotations

import errno

import pytest

from zcloop.doctor import features, findings, text
from zcloop.doctor.access import Answers, judge
from zcloop.doctor.loops import LoopReport
from zcloop.doctor.memory import POOL_SIZE, Memory
from zcloop.doctor.report import Report, as_dict
from zcloop.doctor.surroundings import Surroundings

EVERYTHING = [features.Found(one, features.Outcome(True, "tried")) for one in features.FEATURES]
NOTHING = [features.Found(one, features.Outcome(False, "not tried")) for one in features.FEATURES]
UNLIMITED = Memory(None, None, False, None, None, None, "madvise", 2 << 20, 0)
GRANTED = Answers(0, -errno.EBADF, -errno.EINVAL, None, 0, 1 << 1 | 1 << 8 | 1 << 11, "plain")
REFUSED = Answers(-errno.ENOMEM, -errno.EBADF, -errno.EINVAL, -errno.ENOMEM)

URING = LoopReport("uring", {one.name: True for one in features.FEATURES}, None, "OK")
EPOLL = LoopReport("epoll", {one.name: False for one in features.FEATURES}, None, "OK")
NO_LOOP = LoopReport(None, {}, "OSError: [Errno 24] Too many open files", "EMFILE")


@pytest.fixture
def verdict(tmp_path, monkeypatch):
    """Make the report of a machine on which the kernel and a loop say this."""
    for name in ("ZCLOOP_BACKEND", "ZCLOOP_WITHOUT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("resource.getrlimit", lambda _: (65536, 65536))

    def make(answers=GRANTED, loop=URING, table=EVERYTHING, memory=UNLIMITED):
        around = Surroundings(tmp_path)
        access = judge(answers, around)
        found = findings.find(access, table, memory, loop, around)
        versions = dict.fromkeys(("zcloop", "python", "kernel", "machine", "libc"), "1")
        return Report(versions, access, table, memory, [], (None, []), loop, found, around)

    return make


def codes(report):
    return [finding.code for finding in report.findings]


def test_everything_is_there(verdict):
    report = verdict()
    assert (report.status, codes(report)) == (0, [])
    assert report.summary == "zcloop runs on io_uring, and nothing is missing."
    assert report.advice == "Nothing to do."


def test_epoll_in_its_place_is_less(verdict):
    report = verdict(REFUSED, EPOLL, NOTHING)
    assert (report.status, codes(report)) == (1, ["memlock"])
    assert report.summary == (
        "zcloop runs on epoll, with less: io_uring cannot be had: "
        "RLIMIT_MEMLOCK leaves no room for a ring"
    )


def test_without_any_loop_it_cannot_run(verdict):
    report = verdict(REFUSED, NO_LOOP, NOTHING)
    assert (report.status, codes(report)) == (2, ["memlock", "no_loop"])
    assert report.summary.startswith("zcloop cannot run here: io_uring cannot be had: ")
    assert {finding.severity for finding in report.findings} == {"broken"}
    assert "   seen: epoll_create answers EMFILE" in text.render(report, False).splitlines()


def test_a_loop_that_the_environment_puts_on_epoll(verdict, monkeypatch):
    monkeypatch.setenv("ZCLOOP_BACKEND", "epoll")
    report = verdict(loop=EPOLL)
    assert (report.status, codes(report)) == (1, ["backend"])
    assert report.advice == "What to type (a shell): unset ZCLOOP_BACKEND"


def test_a_loop_on_epoll_for_no_known_reason(verdict):
    report = verdict(loop=EPOLL)
    assert (report.status, codes(report)) == (1, ["backend"])
    assert report.advice.startswith("No cure is known: python -m zcloop doctor --issue")


def test_io_uring_is_asked_for_where_it_is_refused(verdict, monkeypatch):
    monkeypatch.setenv("ZCLOOP_BACKEND", "uring")
    report = verdict(REFUSED, NO_LOOP, NOTHING)
    (last,) = [one for one in report.findings if one.code == "no_loop"]
    assert last.evidence[-1] == "ZCLOOP_BACKEND is 'uring'"
    assert last.cures[0].lines == ("unset ZCLOOP_BACKEND",)


def test_features_that_the_environment_switches_off(verdict, monkeypatch):
    monkeypatch.setenv("ZCLOOP_WITHOUT", "push")
    report = verdict()
    assert (report.status, codes(report)) == (1, ["switched_off"])
    assert report.findings[0].title == "ZCLOOP_WITHOUT switches off push"


def test_features_that_could_not_be_tried_are_not_blamed_on_the_kernel(verdict):
    untried = features.Outcome(False, "could not be tried", -errno.EMFILE)
    report = verdict(table=[features.Found(features.FEATURES[0], untried), *EVERYTHING[1:]])
    assert (report.status, codes(report)) == (1, ["descriptors"])
    assert report.findings[0].evidence == ("multishot_receive could not be tried",)


@pytest.mark.parametrize(("loops", "expected"), [(0, ["memlock"]), (1, []), (5, [])])
def test_a_limit_that_has_no_room_for_one_pool_is_less(loops, expected, verdict):
    limited = Memory(65536, 65536, True, loops * POOL_SIZE, 53248, loops, None, None, None)
    assert codes(verdict(memory=limited)) == expected


def test_as_json_it_has_what_was_found(verdict):
    report = verdict(REFUSED, EPOLL, NOTHING)
    found = as_dict(report)
    assert found["status"] == 1 and found["loop"]["backend"] == "epoll"
    assert found["io_uring"]["answers"]["small_setup"] == "ENOMEM"
    assert found["findings"][0]["cures"][0]["lines"] == ["ulimit -l 65536   # KiB"]
