"""What a channel is: events with five fields, an fd, a bound, an end."""

import errno
import gc
import os
import select
import warnings

import pytest
from channels import PATIENCE, channel_of, is_readable, next_of, take
from peers import unix_pair

import zcloop
from zcloop._native.operation import request as operations

pytestmark = pytest.mark.zcloop_only


def system_calls(channel):
    return channel.statistics()["system_calls"]


def test_an_event_says_what_of_what_with_which_outcome():
    data = object()
    with channel_of() as channel, unix_pair() as (ours, peer):
        buffer = bytearray(8)
        request = channel.recv(ours, buffer, data=data)
        assert (request.type, request.source, request.data) == ("recv", ours, data)
        assert request.is_pending
        peer.send(b"hello")
        event = next_of(channel)
        assert (event.type, event.source, event.result, event.errno) == ("recv", ours, 5, 0)
        assert event.data is data
        assert bytes(buffer) == b"hello\0\0\0"
        assert event.check() == 5
        assert not request.is_pending


def test_a_failure_is_an_event_with_its_number():
    with channel_of() as channel:
        reader, writer = os.pipe()
        os.close(writer)
        channel.write(reader, b"x")
        event = next_of(channel)
        os.close(reader)
        assert (event.type, event.result, event.errno) == ("write", None, errno.EBADF)
        with pytest.raises(OSError, match="write of") as raised:
            event.check()
        assert raised.value.errno == errno.EBADF


def test_an_event_can_be_made_matched_and_shown():
    match zcloop.Event("post", "source", 7, 0, "data"):
        case zcloop.Event(kind, source, result, number, data):
            assert (kind, source, result, number, data) == ("post", "source", 7, 0, "data")
    assert "Bad file descriptor" in repr(zcloop.Event("read", errno=errno.EBADF))
    with pytest.raises(AttributeError):
        zcloop.Event("post").result = 1


def test_taking_an_event_that_is_visible_makes_no_system_call():
    with channel_of() as channel:
        for number in range(50):
            channel.post(number)
        before = system_calls(channel)
        assert [channel.next_event().data for _ in range(50)] == list(range(50))
        assert channel.next_event() is None
        assert system_calls(channel) == before


def test_waiting_for_an_event_that_is_visible_makes_none_either():
    with channel_of() as channel:
        channel.post(1)
        before = system_calls(channel)
        assert channel.wait().data == 1
        assert system_calls(channel) == before


def test_a_request_costs_one_system_call():
    with channel_of() as channel, unix_pair() as (ours, _):
        before = system_calls(channel)
        channel.send(ours, b"x")
        assert system_calls(channel) == before + 1
        assert next_of(channel).result == 1


def test_the_fd_is_readable_as_long_as_an_event_can_be_taken():
    with channel_of() as channel:
        assert not is_readable(channel)
        for _ in range(3):
            channel.post()
        for _ in range(3):
            assert is_readable(channel)
            assert channel.next_event() is not None
        assert not is_readable(channel)


def test_events_takes_what_is_there_and_ends():
    with channel_of() as channel:
        assert list(channel.events()) == []
        for number in range(5):
            channel.post(number)
        assert [event.data for event in channel.events()] == list(range(5))


def test_what_is_posted_during_the_iteration_is_taken_too():
    with channel_of() as channel:
        channel.post(3)
        seen = []
        for event in channel.events():
            seen.append(event.data)
            if event.data:
                channel.post(event.data - 1)
        assert seen == [3, 2, 1, 0]


def test_wait_gives_none_after_its_time():
    with channel_of() as channel:
        assert channel.wait(0) is None
        assert channel.wait(0.001) is None


def test_wait_ends_with_the_first_event():
    with channel_of() as channel:
        channel.timeout(0.01, data="short")
        long = channel.timeout(1000, data="long")
        assert channel.wait().data == "short"
        channel.cancel(long)
        assert {event.type for event in take(channel, 2)} == {"cancel", "timeout"}


def test_channels_are_independent():
    with channel_of() as one, channel_of() as other, unix_pair() as (ours, peer):
        request = one.recv(ours, bytearray(1), data="one")
        other.recv(peer, bytearray(1), data="other")
        other.cancel(request, data="not its request")
        event = next_of(other)
        assert (event.type, event.errno) == ("cancel", errno.ENOENT)
        ours.send(b"x")
        peer.send(b"y")
        assert (next_of(one).data, next_of(other).data) == ("one", "other")


def test_the_entries_are_a_power_of_two():
    for asked, given in ((1, 1), (2, 2), (100, 128), (32768, 32768)):
        with channel_of(asked) as channel:
            assert channel.entries == given


def test_a_buffer_is_exported_until_its_event_is_taken():
    with channel_of() as channel, unix_pair() as (ours, peer):
        buffer = bytearray(4)
        channel.recv(ours, buffer)
        peer.send(b"abcd")
        with pytest.raises(BufferError):
            buffer.clear()
        assert next_of(channel).result == 4
        buffer.clear()


def test_close_is_idempotent_and_frees_the_fd():
    channel = zcloop.EventChannel()
    fd = channel.fileno()
    kind = {"uring": "io_uring", "epoll": "eventfd"}[channel.backend]
    assert kind in os.readlink(f"/proc/self/fd/{fd}")
    channel.close()
    channel.close()
    assert channel.is_closed
    assert not os.path.exists(f"/proc/self/fd/{fd}")


def test_a_channel_that_nobody_closed_is_closed_with_a_warning():
    channel = zcloop.EventChannel()
    fd = channel.fileno()
    with unix_pair() as (ours, _):
        channel.recv(ours, bytearray(1), data=channel)  # a cycle, for the collector
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del channel
            gc.collect()
        assert [str(each.message) for each in caught] == [
            "unclosed <EventChannel of 256 entries, 1 in flight>"
        ]
        assert not os.path.exists(f"/proc/self/fd/{fd}")


def test_what_gives_operations_can_be_waited_for():
    class Readiness:
        """As of zcloop.sync: an operation for each wait."""

        def __init__(self, sock):
            self.sock = sock

        def _operation(self, mask):
            return operations.poll(self.sock.fileno(), mask)

    with channel_of() as channel, unix_pair() as (ours, peer):
        source = Readiness(ours)
        for _ in range(2):
            channel.request(source, select.POLLIN, data="data", type="readiness")
        channel.request(operations.poll(ours.fileno(), select.POLLOUT))
        event = next_of(channel)
        assert (event.type, event.result, event.data) == ("request", select.POLLOUT, None)
        peer.send(b"x")
        for event in take(channel, 2):
            assert (event.type, event.source, event.data) == ("readiness", source, "data")
            assert event.result & select.POLLIN


def test_an_operation_is_in_flight_once():
    with channel_of() as channel:
        operation = operations.timeout(0.001)
        channel.request(operation)
        with pytest.raises(RuntimeError, match="in flight already"):
            channel.request(operation)
        assert next_of(channel).result == 0
        channel.request(operation)
        assert next_of(channel).result == 0


def test_statistics_count():
    with channel_of() as channel:
        for _ in range(3):
            channel.post()
        assert channel.wait(PATIENCE) is not None
        assert channel.statistics() == {
            "entries": 64, "inflight": 2, "completed": 1, "dropped": 0, "system_calls": 3,
            "pinned": 0,
        }  # fmt: skip
        take(channel, 2)
