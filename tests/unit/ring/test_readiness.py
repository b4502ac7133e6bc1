"""A ring over epoll: its end, and the order and the results of what it is asked for."""

import errno
import os

import pytest
from channels import take
from peers import script

import zcloop
from zcloop import requests
from zcloop._native.ring.pumped import PumpedRing
from zcloop._native.ring.readiness import ReadinessRing

pytestmark = pytest.mark.zcloop_only

RINGS = pytest.mark.parametrize("make", [ReadinessRing, PumpedRing])


def descriptors():
    return set(os.listdir("/proc/self/fd"))


@RINGS
def test_a_ring_has_powers_of_two_of_entries(make):
    ring = make(9, 100)
    assert (ring.entries, ring.cq_entries, ring.backend) == (16, 128, "epoll")
    assert ring.enters == ring.submissions == 0
    ring.close()


@RINGS
def test_close_is_idempotent_and_frees_every_descriptor(make):
    before = descriptors()
    ring = make(8, 64)
    assert ring.fileno() > 2
    ring.close()
    ring.close()
    assert descriptors() == before


@RINGS
def test_collection_frees_every_descriptor(make):
    before = descriptors()
    make(8, 64)
    assert descriptors() == before


@RINGS
def test_sizes_beyond_the_limit_are_clamped(make):
    ring = make(1 << 20, 1 << 21)
    assert (ring.entries, ring.cq_entries) == (32768, 65536)
    ring.close()


@RINGS
@pytest.mark.parametrize("sizes", [(0, 0), (0, 8), (8, 0)])
def test_no_entries_at_all_are_an_os_error(make, sizes):
    with pytest.raises(OSError, match="entries"):
        make(*sizes)


@RINGS
def test_a_ring_that_gets_no_descriptor_leaves_none_behind(make):
    """Whichever of its descriptors it is that is refused."""
    source = f"""
        import os, resource
        from {make.__module__} import {make.__name__} as Ring
        Ring(8, 64).close()
        before = len(os.listdir("/proc/self/fd"))
        refused = 0
        for more in range(8):
            resource.setrlimit(resource.RLIMIT_NOFILE, (before - 1 + more, 4096))
            try:
                ring = Ring(8, 64)
            except OSError:
                refused += 1
            else:
                ring.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
            assert len(os.listdir("/proc/self/fd")) == before, more
        assert 2 <= refused < 8, refused
    """
    assert script(source) == ""


# ---- what is asked for, through a channel --------------------------------------------------------


@pytest.fixture
def channel():
    with zcloop.EventChannel(backend="epoll") as one:
        yield one


def test_deadlines_end_in_their_order_and_equal_ones_as_they_were_added(channel):
    seconds = [0.03, 0.01, 0.02, 0.0, 0.0]
    channel.submit([requests.timeout(each, data=number) for number, each in enumerate(seconds)])
    assert [event.data for event in take(channel, 5)] == [3, 4, 1, 2, 0]


def test_a_deadline_that_is_cancelled_does_not_hold_up_the_next(channel):
    first = channel.timeout(1000, data="cancelled")
    channel.timeout(0.01, data="over")
    channel.cancel(first)
    timeouts = [event for event in take(channel, 3) if event.type == "timeout"]
    assert [(event.data, event.errno) for event in timeouts] == [
        ("cancelled", errno.ECANCELED),
        ("over", 0),
    ]


def test_a_short_read_ends_the_rest_of_its_chain(channel, tmp_path):
    path = tmp_path / "short"
    path.write_bytes(b"abc")
    with path.open("rb") as file:
        asked = [requests.read(file, bytearray(8), 0), requests.timeout(0), requests.timeout(0)]
        channel.submit(asked, mode="linked")
        events = take(channel, 3)
    assert [event.errno for event in events] == [0, errno.ECANCELED, errno.ECANCELED]
    assert events[0].result == 3


def test_a_chain_of_many_requests_runs_in_order():
    count = 1000
    with zcloop.EventChannel(4096, backend="epoll") as channel:
        chain = [requests.timeout(0, data=number) for number in range(count)]
        channel.submit(chain, mode="linked")
        assert [event.data for event in take(channel, count)] == list(range(count))
