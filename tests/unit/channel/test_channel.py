"""The channel's books: what is in flight, held and lent."""

import asyncio
import threading

import pytest
from peers import connection, unix_pair
from recording import Recorder
from waits import until

from zcloop._native.channel.loop_channel import LoopChannel

pytestmark = pytest.mark.zcloop_only


def test_a_channel_closes_again_and_again():
    channel = LoopChannel()
    assert (channel.inflight, channel.held, channel.is_started) == (0, 0, False)
    channel.close()
    channel.close()
    assert channel.is_closed


def test_a_channel_closes_in_a_thread_that_is_not_its_own():
    channel = LoopChannel(entries=8, completion_entries=16)
    thread = threading.Thread(target=channel.close)
    thread.start()
    thread.join()
    assert channel.is_closed


def test_nothing_is_in_flight_between_two_runs(loop):
    with unix_pair() as (one, other):
        loop.add_reader(one, print)
        loop.add_writer(other, int)
        for _ in range(3):
            loop.run_until_complete(asyncio.sleep(0.001))
            books = loop.statistics()
            assert books["inflight"] == 0 and books["operations"] >= 1
        loop.remove_reader(one)
        loop.remove_writer(other)


async def test_operations_come_and_go_with_their_owners():
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.001)
    before = loop.statistics()["operations"]
    async with connection(Recorder) as (transport, protocol, peer):
        peer.send(b"x")
        await protocol.received(1)
        assert loop.statistics()["operations"] == before + 1
        transport.pause_reading()
        await until(lambda: loop.statistics()["operations"] == before)
        transport.resume_reading()
        await until(lambda: loop.statistics()["operations"] == before + 1)
    await asyncio.sleep(0)
    assert loop.statistics()["operations"] == before


async def test_slots_come_home_after_every_delivery():
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (_, protocol, peer):
        for size in range(1, 500):
            peer.send(b"x")
            await protocol.received(size)
        await asyncio.sleep(0)
        books = loop.statistics()
        assert books["slots"] > 0 and books["slots_lent"] == 0


def test_statistics_of_a_closed_loop_are_all_home(loop_factory):
    loop = loop_factory()
    with unix_pair() as (one, _):
        loop.add_reader(one, print)
        loop.call_later(1000, print)
        loop.run_until_complete(asyncio.sleep(0.001))
        loop.close()
    books = loop.statistics()
    for name in ("inflight", "operations", "ready", "timers", "slots_lent"):
        assert books[name] == 0, name


def test_closing_ends_every_request_before_it_returns(loop_factory):
    """A descriptor that was watched is the program's alone after close."""
    loop = loop_factory()
    pairs = []
    for _ in range(300):
        pair = unix_pair()
        pairs.append((pair, pair.__enter__()))
        loop.add_reader(pairs[-1][1][0], print)
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    for pair, (one, other) in pairs:
        one.close()
        assert other.recv(1) == b""
        pair.__exit__(None, None, None)
