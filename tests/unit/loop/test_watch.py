"""add_reader and add_writer: level-triggered, exact, and never late."""

import asyncio
import contextlib
import gc
import os
import socket

import pytest
from peers import fill, io_passed, tcp_pair, unix_pair


@pytest.fixture
def pair():
    with unix_pair() as pair:
        yield pair


async def test_a_reader_that_takes_only_part_is_called_again(pair):
    loop = asyncio.get_running_loop()
    one, other = pair
    done = loop.create_future()
    seen = bytearray()

    def reader():
        seen.extend(one.recv(1))
        if len(seen) == 100:
            done.set_result(None)

    loop.add_reader(one, reader)
    other.send(bytes(range(100)))
    await done
    loop.remove_reader(one)
    assert seen == bytes(range(100))


async def test_a_reader_that_took_all_is_not_called_again(pair):
    loop = asyncio.get_running_loop()
    one, other = pair
    calls = []
    loop.add_reader(one, lambda: calls.append(one.recv(100)))
    other.send(b"x")
    await io_passed()
    await io_passed()
    loop.remove_reader(one)
    assert calls == [b"x"]


async def test_a_reader_is_not_called_once_removed_although_it_was_ready(pair):
    loop = asyncio.get_running_loop()
    one, other = pair
    with unix_pair() as (third, fourth):
        calls = []

        def remove_both():
            calls.append(None)
            assert loop.remove_reader(one) and loop.remove_reader(third)

        loop.add_reader(one, remove_both)
        loop.add_reader(third, remove_both)
        other.send(b"x")
        fourth.send(b"x")
        await io_passed()
        await io_passed()
    assert len(calls) == 1


async def test_adding_again_replaces_the_callback(pair):
    loop = asyncio.get_running_loop()
    one, other = pair
    replaced, done = [], loop.create_future()
    loop.add_reader(one, replaced.append, "before it was armed")
    loop.add_reader(one, replaced.append, "while it was armed")
    await io_passed()
    loop.add_reader(one, lambda: done.done() or done.set_result(None))
    other.send(b"x")
    await done
    assert loop.remove_reader(one) is True
    assert loop.remove_reader(one) is False
    assert replaced == []


async def test_reader_and_writer_of_one_fd_are_independent(pair):
    loop = asyncio.get_running_loop()
    one, other = pair
    calls = []
    loop.add_reader(one, lambda: calls.append(one.recv(10)))
    loop.add_writer(one, lambda: calls.append("writable"))
    await io_passed()
    assert "writable" in calls
    assert loop.remove_writer(one) is True and loop.remove_writer(one) is False
    calls.clear()
    other.send(b"x")
    await io_passed()
    await io_passed()
    assert calls == [b"x"]
    assert loop.remove_reader(one) is True


async def test_a_writer_is_called_when_there_is_room_again(pair):
    loop = asyncio.get_running_loop()
    one, other = pair
    size = fill(one)
    calls = []
    loop.add_writer(one, lambda: (calls.append(None), loop.remove_writer(one)))
    await io_passed()
    assert calls == []
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            taken += len(other.recv(1 << 20))
    assert taken == size
    await io_passed()
    assert calls == [None]


async def test_the_end_of_file_and_a_hangup_are_readable():
    loop = asyncio.get_running_loop()
    for pair in (unix_pair, tcp_pair):
        with pair() as (one, other):
            seen = loop.create_future()
            loop.add_reader(
                one, lambda one=one, seen=seen: seen.done() or seen.set_result(one.recv(1))
            )
            other.close()
            assert await seen == b""
            loop.remove_reader(one)


async def test_two_numbers_of_one_file_are_two_watches(pair):
    loop = asyncio.get_running_loop()
    one, other = pair
    with socket.socket(fileno=os.dup(one.fileno())) as again:
        calls = set()
        loop.add_reader(one, calls.add, "one")
        loop.add_reader(again, calls.add, "again")
        other.send(b"x")
        await io_passed()
        await io_passed()
        assert calls == {"one", "again"}
        loop.remove_reader(one)
        loop.remove_reader(again)


async def test_a_removed_fd_is_free_at_once_for_its_peer_and_its_number(pair):
    loop = asyncio.get_running_loop()
    one, other = pair
    loop.add_reader(one, print)
    await io_passed()
    loop.remove_reader(one)
    number = one.fileno()
    one.close()
    assert other.recv(1) == b""
    replacement, peer = socket.socketpair()
    with replacement, peer:
        assert replacement.fileno() == number
        seen = loop.create_future()
        loop.add_reader(replacement, lambda: seen.done() or seen.set_result("the new file"))
        peer.send(b"x")
        assert await seen == "the new file"
        loop.remove_reader(replacement)


async def test_a_closed_socket_can_still_be_removed(pair):
    loop = asyncio.get_running_loop()
    one, _ = pair
    loop.add_reader(one, print)
    loop.add_writer(one, int)
    one.close()
    assert loop.remove_reader(one) is True
    assert loop.remove_writer(one) is True


async def test_the_peer_sees_the_close_of_a_socket_that_is_still_watched(pair):
    loop = asyncio.get_running_loop()
    one, other = pair
    number = one.fileno()
    loop.add_reader(one, print)
    await io_passed()
    one.close()
    assert await loop.sock_recv(other, 1) == b""
    loop.remove_reader(number)


async def test_a_thousand_readers_added_and_removed_in_one_turn_leave_nothing():
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(unix_pair()) for _ in range(200)]
        for _ in range(5):
            for one, _ in pairs:
                loop.add_reader(one, print)
            for one, _ in pairs:
                assert loop.remove_reader(one)
        await io_passed()
        for one, other in pairs:
            loop.add_reader(one, lambda one=one: one.recv(10))
            other.send(b"x")
        await io_passed()
        for one, _ in pairs:
            assert loop.remove_reader(one)


class Removes:
    """In a cycle: the collector's finalizer removes the reader or writer of `sock`."""

    def __init__(self, remove, sock):
        self.itself = self
        self.remove = remove
        self.sock = sock

    def __del__(self):
        self.remove(self.sock)


@pytest.mark.parametrize("is_reader", [True, False])
async def test_one_that_a_finalizer_removes_while_it_is_armed_leaves_no_request(is_reader):
    """On 3.11 the collector runs in any allocation: here in each of a turn, one after another."""
    loop = asyncio.get_running_loop()
    threshold = gc.get_threshold()
    await io_passed()
    before = loop.statistics()["inflight"]

    def begin(sock, allocations):
        if is_reader:
            loop.add_reader(sock, print)
            Removes(loop.remove_reader, sock)
        else:
            fill(sock)
            loop.add_writer(sock, print)
            Removes(loop.remove_writer, sock)
        gc.set_threshold(allocations)

    try:
        for allocations in range(1, 40):
            with unix_pair() as (one, _):
                gc.collect()
                slept = loop.create_future()
                loop.call_soon(begin, one, allocations)
                loop.call_later(0.001, slept.set_result, None)
                await slept  # a sleep comes after the arming
                gc.set_threshold(*threshold)
                gc.collect()
                assert loop.statistics()["inflight"] <= before, allocations
    finally:
        gc.set_threshold(*threshold)


def test_closing_the_loop_ends_its_watches(loop_factory, pair):
    loop = loop_factory()
    loop.add_reader(pair[0], print)
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    assert loop.remove_reader(pair[0]) is False
    with pytest.raises(RuntimeError, match="closed"):
        loop.add_reader(pair[0], print)
    pair[0].close()
    assert pair[1].recv(1) == b""
