"""Each feature is tried. The doctor finds what this kernel has, and what a lesser one lacks."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct

import pytest

from zcloop.doctor import features, findings
from zcloop.doctor.access import ask, judge
from zcloop.doctor.loops import LoopReport
from zcloop.doctor.memory import Memory
from zcloop.doctor.probe_ring import FEAT_EXT_ARG, FEAT_MIN_TIMEOUT, ProbeRing, request
from zcloop.doctor.surroundings import Surroundings
from zcloop.doctor.system_calls import SystemCalls

RELEASE = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
NAMES = [feature.name for feature in features.FEATURES]
REGISTER_PROBE, REGISTER_BUFFERS2, REGISTER_BUFFER_RING = 8, 15, 22


class Lesser(SystemCalls):
    """This kernel, except that it refuses opcodes of io_uring_register, and has fewer features."""

    def __init__(self, refused=(), answer=-errno.EINVAL, hidden=0):
        super().__init__()
        self.refused = refused
        self.answer = answer
        self.hidden = hidden

    def register(self, fd, opcode, argument, count):
        if fd >= 0 and opcode in self.refused:
            return self.answer
        return super().register(fd, opcode, argument, count)

    def setup(self, entries, params):
        got = super().setup(entries, params)
        (said,) = struct.unpack_from("=I", params, 20)
        struct.pack_into("=I", params, 20, said & ~self.hidden)
        return got


def found(calls):
    return {one.feature.name: one.outcome for one in features.find(calls, has_ring=True)}


def missing(calls):
    return {name for name, outcome in found(calls).items() if not outcome.is_available}


@pytest.mark.parametrize("feature", features.FEATURES, ids=NAMES)
def test_a_kernel_has_what_it_is_new_enough_for(feature, needs_io_uring):
    # An older kernel may have it, too: Debian's 6.1 knows the flag of send_zero_copy.
    since = tuple(int(number) for number in feature.since.split("."))
    outcome = found(SystemCalls())[feature.name]
    assert outcome.is_available >= (since <= RELEASE), outcome.evidence


def test_requests_are_found_as_the_kernels_own_table_has_them(needs_io_uring):
    with ProbeRing(SystemCalls()) as ring:
        table = ctypes.create_string_buffer(16 + 8 * 256)
        assert SystemCalls().register(ring.fd, REGISTER_PROBE, table, 256) == 0
    supported = {
        opcode: bool(struct.unpack_from("=BBH", table, 16 + 8 * opcode)[2] & 1)
        for opcode in (46, 47, 51)
    }
    outcomes = found(SystemCalls())
    assert outcomes["futex_wait"].is_available == supported[51]
    assert outcomes["send_zero_copy"].is_available <= supported[47]
    assert outcomes["push"].is_available <= supported[46]


def test_a_kernel_without_buffer_rings_has_no_multishot_receives(needs_io_uring):
    lost = missing(Lesser([REGISTER_BUFFER_RING])) - missing(SystemCalls())
    assert lost == {"multishot_receive", "multishot_message"}


def test_a_kernel_without_sparse_tables_has_no_registered_buffers(needs_io_uring):
    lost = missing(Lesser([REGISTER_BUFFERS2])) - missing(SystemCalls())
    assert lost == {"registered_buffers"}


def test_a_ring_that_does_not_say_so_has_no_minimal_wait(needs_io_uring):
    lost = missing(Lesser(hidden=FEAT_MIN_TIMEOUT)) - missing(SystemCalls())
    assert lost <= {"minimal_wait"}
    assert "minimal_wait" in missing(Lesser(hidden=FEAT_MIN_TIMEOUT))


def test_without_a_ring_only_what_needs_none_is_tried():
    outcomes = features.find(SystemCalls(), has_ring=False)
    there = {one.feature.name for one in outcomes if one.outcome.is_available}
    assert there <= {"segmented_send"}
    assert "not tried" in outcomes[0].outcome.evidence


def test_what_a_kernel_lacks_is_one_finding_that_says_what_happens_without(needs_io_uring):
    calls = Lesser([REGISTER_BUFFER_RING])
    table = features.find(calls, has_ring=True)
    around = Surroundings()
    memory = Memory(None, None, False, None, None, None, None, None, None)
    loop = LoopReport("uring", {}, None, "OK")
    (finding,) = findings.find(judge(ask(calls), around), table, memory, loop, around)
    assert finding.code == "older_kernel" and finding.severity == "less"
    assert "multishot_receive, multishot_message" in finding.title
    assert any("multishot_receive (Linux 6.0)" in line for line in finding.evidence)


def test_what_a_limit_keeps_away_is_not_blamed_on_the_kernel(needs_io_uring):
    calls = Lesser([REGISTER_BUFFERS2], answer=-errno.ENOMEM)
    around = Surroundings()
    memory = Memory(None, None, False, None, None, None, None, None, None)
    loop = LoopReport("uring", {}, None, "OK")
    table = features.find(calls, has_ring=True)
    codes = [
        finding.code
        for finding in findings.find(judge(ask(calls), around), table, memory, loop, around)
        if "registered_buffers" in finding.title
    ]
    assert codes == []


def test_a_loop_uses_what_the_doctor_has_found(needs_io_uring, diagnosis):
    found = diagnosis()
    used = found["loop"]["features"]
    if not used:
        pytest.skip("the loops of this zcloop have no `features`")
    assert used.keys() == found["features"].keys()
    # A loop may not have found out yet what the kernel lacks.
    there = {name for name, one in found["features"].items() if one["available"]}
    assert there <= {name for name in used if used[name]}


@pytest.mark.parametrize("hidden", [0, FEAT_EXT_ARG], ids=["", "without time limits"])
def test_a_request_that_is_never_answered_is_given_up(hidden, needs_io_uring):
    read_end, write_end = os.pipe()
    try:
        with ProbeRing(Lesser(hidden=hidden)) as ring:
            buffer = ring.hold(ctypes.create_string_buffer(1))
            asked = request(22, read_end, address=ctypes.addressof(buffer), size=1)  # OP_READ
            assert ring.perform(asked) == (-errno.ETIME, 0)
    finally:
        os.close(read_end)
        os.close(write_end)


def test_a_ring_performs_more_requests_than_it_has_entries(needs_io_uring):
    with ProbeRing(SystemCalls(), entries=2, completions=4) as ring:
        assert {ring.perform(request(0)) for _ in range(20)} == {(0, 0)}
    ring.close()  # again
