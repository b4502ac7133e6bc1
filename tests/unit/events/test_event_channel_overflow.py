"""The bound: what completes beyond it is kept or dropped, and counted; nothing hangs."""

import os
import select
import socket
import time

import pytest
from channels import channel_of, is_readable, take
from peers import tcp_pair
from waits import block_until

from zcloop import requests

pytestmark = pytest.mark.zcloop_only

COMPLETIONS = 100_000
ENTRIES = 64


def test_everything_arrives_in_order_and_the_overflow_is_counted():
    with channel_of(ENTRIES) as channel:
        for number in range(COMPLETIONS):
            channel.post(number)
        events = list(channel.events())
    assert [event.data for event in events if event.type == "post"] == list(range(COMPLETIONS))
    (overflow,) = (event for event in events if event.type == "overflow")
    assert (overflow.source, overflow.result, overflow.errno) == (channel, COMPLETIONS - ENTRIES, 0)


def test_with_drop_the_overflow_event_says_exactly_how_many_are_gone():
    with channel_of(ENTRIES, overflow="drop") as channel:
        for number in range(COMPLETIONS):
            channel.post(number)
        events = list(channel.events())
        assert [event.data for event in events[:-1]] == list(range(ENTRIES))
        assert (events[-1].type, events[-1].result) == ("overflow", COMPLETIONS - ENTRIES)
        assert channel.statistics()["dropped"] == COMPLETIONS - ENTRIES
        lost = [request.data for request in channel.take_dropped()]
        assert lost == list(range(ENTRIES, COMPLETIONS))
        assert channel.take_dropped() == []


def test_a_full_channel_is_no_overflow():
    with channel_of(ENTRIES) as channel:
        for number in range(ENTRIES):
            channel.post(number)
        assert [event.type for event in channel.events()] == ["post"] * ENTRIES


def test_one_more_is_one():
    with channel_of(ENTRIES) as channel:
        for number in range(ENTRIES + 1):
            channel.post(number)
        events = list(channel.events())
        assert [event.result for event in events if event.type == "overflow"] == [1]
        assert len(events) == ENTRIES + 2


def test_an_overflow_is_told_each_time_it_happens():
    with channel_of(4) as channel:
        for excess in (1, 3, 2):
            for _ in range(4 + excess):
                channel.post()
            told = [event.result for event in channel.events() if event.type == "overflow"]
            assert told == [excess]


def test_the_fd_is_readable_until_the_last_event_beyond_the_bound_was_taken():
    with channel_of(4) as channel:
        for _ in range(20):
            channel.post()
        for _ in range(21):
            assert is_readable(channel)
            assert channel.next_event() is not None


def test_requests_made_while_it_overflows_come_behind_what_is_kept():
    with channel_of(4) as channel:
        for number in range(10):
            channel.post(number)
        seen = [channel.next_event().data for _ in range(2)]
        channel.post(10)
        seen += [event.data for event in channel.events() if event.type == "post"]
        assert seen == list(range(11))


@pytest.mark.parametrize("overflow", ["keep", "drop"])
def test_requests_in_parallel_beyond_the_bound(overflow, tmp_path):
    """100,000 reads of a file, 64 in a system call."""
    path = tmp_path / "file"
    path.write_bytes(b"content!")
    buffer = bytearray(8)
    with channel_of(ENTRIES, overflow=overflow) as channel, path.open("rb") as file:
        channel.submit([requests.read(file, buffer, 0) for _ in range(COMPLETIONS)])
        count = beyond = 0
        while count + (beyond if overflow == "drop" else 0) < COMPLETIONS:
            (event,) = take(channel, 1)
            if event.type == "overflow":
                beyond += event.result
            else:
                assert (event.type, event.result) == ("read", 8)
                count += 1
        assert beyond == COMPLETIONS - ENTRIES
        list(channel.events())


def test_descriptors_that_are_dropped_are_closed(tmp_path):
    (tmp_path / "file").touch()
    with channel_of(2, overflow="drop") as channel:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(8):
            channel.open(tmp_path / "file")
        block_until(lambda: len(os.listdir("/proc/self/fd")) == before + 8)
        channel.timeout(0)
        time.sleep(0.05)  # by then it is over, too
        fds = [event.result for event in take(channel, 2)]
        while channel.dropped < 7:
            channel.wait(0.01)
        assert len(channel.take_dropped()) == 7
        for fd in fds:
            os.close(fd)


def test_descriptors_that_came_with_a_dropped_message_are_closed():
    ours, peer = socket.socketpair()
    with ours, peer, channel_of(1, overflow="drop") as channel:
        channel.post("fills it")
        channel.recvmsg(ours, [bytearray(4)], 64)
        socket.send_fds(peer, [b"x"], [peer.fileno()])
        block_until(lambda: not select.select([ours], [], [], 0)[0])  # it has been received,
        time.sleep(0.05)  # and is a completion: over epoll a moment later, by the ring's thread
        while channel.wait(0.01) is not None:
            pass
        assert [request.type for request in channel.take_dropped()] == ["recvmsg"]


def test_a_socket_reads_on_after_an_overflow():
    with channel_of(1) as channel, tcp_pair() as (ours, peer):
        buffer = bytearray(1)
        for number in range(20):
            channel.post()
            channel.recv(ours, buffer)
            peer.send(bytes([number]))
            kinds = {take(channel, 1)[0].type for _ in range(2)}
            while (event := channel.next_event()) is not None:
                kinds.add(event.type)
            assert kinds >= {"post", "recv"}
            assert buffer[0] == number
