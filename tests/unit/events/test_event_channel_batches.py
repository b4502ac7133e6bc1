"""Many requests in one system call (lio_listio), in parallel or one after another."""

import errno
import os
import select

import pytest
from channels import channel_of, next_of, take
from peers import unix_pair

from zcloop import requests

pytestmark = pytest.mark.zcloop_only


@pytest.fixture
def file(tmp_path):
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        yield file


def system_calls(channel):
    return channel.statistics()["system_calls"]


def test_a_batch_is_one_system_call(file):
    with channel_of() as channel:
        batch = [requests.write(file, b"%d" % number, number) for number in range(10)]
        before = system_calls(channel)
        assert channel.submit(batch) == batch
        assert system_calls(channel) == before + 1
        assert [event.result for event in take(channel, 10)] == [1] * 10
        assert os.pread(file.fileno(), 20, 0) == b"0123456789"


def test_a_batch_of_more_than_the_channel_has_entries_takes_as_many_as_it_needs():
    with channel_of(16) as channel, unix_pair() as (ours, _):
        channel.submit(requests.poll(ours, select.POLLIN) for _ in range(100))
        assert (system_calls(channel), channel.inflight) == (7, 100)
        ours.shutdown(0)
        assert len([e for e in take(channel, 101) if e.type == "poll"]) == 100


def test_an_empty_batch_is_nothing():
    with channel_of() as channel:
        assert channel.submit([], mode="linked", wait=True) == []


def test_linked_requests_run_in_order(file):
    with channel_of() as channel:
        buffer = bytearray(8)
        channel.submit(
            [
                requests.write(file, b"durable!", 0, data=1),
                requests.fsync(file, data=2),
                requests.timeout(0.01, data=3),
                requests.read(file, buffer, 0, data=4),
            ],
            mode="linked",
        )
        assert [(event.data, event.errno) for event in take(channel, 4)] == [
            (1, 0), (2, 0), (3, 0), (4, 0),
        ]  # fmt: skip
        assert buffer == b"durable!"


def test_a_link_waits_for_the_one_before(file):
    with channel_of() as channel, unix_pair() as (ours, peer):
        buffer = bytearray(4)
        channel.submit([requests.recv(ours, buffer), requests.send(ours, b"got it")], mode="linked")
        with pytest.raises(BlockingIOError):
            peer.recv(1)
        peer.send(b"data")
        assert [event.type for event in take(channel, 2)] == ["recv", "send"]
        assert peer.recv(10) == b"got it"


def test_a_link_that_breaks_ends_what_is_behind_it(file):
    with channel_of() as channel:
        channel.submit(
            [
                requests.write(file, b"x", 0),
                requests.open("/does/not/exist"),
                requests.fsync(file),
                requests.write(file, b"y", 0),
            ],
            mode="linked",
        )
        assert [(event.type, event.errno) for event in take(channel, 4)] == [
            ("write", 0),
            ("open", errno.ENOENT),
            ("fsync", errno.ECANCELED),
            ("write", errno.ECANCELED),
        ]
        assert os.pread(file.fileno(), 2, 0) == b"x"


def test_a_short_read_breaks_a_link(file):
    with channel_of() as channel:
        file.write(b"abc")
        channel.submit([requests.read(file, bytearray(10), 0), requests.fsync(file)], mode="linked")
        assert [(event.result, event.errno) for event in take(channel, 2)] == [
            (3, 0), (None, errno.ECANCELED),
        ]  # fmt: skip


def test_parallel_requests_do_not_care_for_each_other(file):
    with channel_of() as channel:
        channel.submit([requests.open("/does/not/exist"), requests.fsync(file)])
        assert {(event.type, event.errno) for event in take(channel, 2)} == {
            ("open", errno.ENOENT), ("fsync", 0),
        }  # fmt: skip


def test_two_links_are_apart(file):
    with channel_of() as channel:
        for _ in range(2):
            channel.submit([requests.open("/does/not/exist"), requests.fsync(file)], mode="linked")
        channel.fsync(file, data="alone")
        events = take(channel, 5)
        assert [event.errno for event in events if event.data == "alone"] == [0]


def test_wait_returns_when_all_are_complete():
    with channel_of() as channel:
        channel.submit([requests.timeout(seconds) for seconds in (0.02, 0.001, 0.01)], wait=True)
        assert [channel.next_event().source for _ in range(3)] == [0.001, 0.01, 0.02]


def test_wait_leaves_the_events_of_others_in_order():
    with channel_of() as channel:
        channel.post("before")
        channel.timeout(0.005, data="meanwhile")
        channel.submit([requests.timeout(0.01, data="waited for")], wait=True)
        seen = [event.data for event in channel.events()]
        assert seen == ["before", "meanwhile", "waited for"]


def test_wait_ends_when_the_channel_is_full():
    with channel_of(2) as channel, unix_pair() as (ours, peer):
        channel.post()
        channel.post()
        channel.submit([requests.recv(ours, bytearray(1))], wait=True)
        assert len(list(channel.events())) == 2
        peer.send(b"x")
        assert next_of(channel).type == "recv"


def test_a_link_longer_than_the_channel_is_refused_and_leaves_the_requests_as_they_were(file):
    with channel_of(4) as channel:
        batch = [requests.fsync(file) for _ in range(5)]
        with pytest.raises(ValueError, match="at most 4"):
            channel.submit(batch, mode="linked")
        assert not any(request.is_pending for request in batch)
        for request in batch:
            channel.submit([request])
            assert next_of(channel).type == "fsync"


def test_a_request_is_submitted_once(file):
    with channel_of() as channel:
        request = requests.fsync(file)
        with pytest.raises(RuntimeError, match="submitted already"):
            channel.submit([request, request])
        assert not request.is_pending
        channel.submit([request])
        with pytest.raises(RuntimeError, match="submitted already"):
            channel.submit([request])
        assert next_of(channel).result == 0
        with pytest.raises(RuntimeError, match="submitted once"):
            channel.submit([request])
