"""Reads of a zcloop.StreamReader: what they give, wait for, and leave when they are cancelled."""

from __future__ import annotations

import asyncio
import collections.abc

import pytest
from peers import io_passed, payload, reset
from streams import connected, stream_and_peer

import zcloop


async def test_bytes_that_are_read_as_they_came_are_not_copied():
    reader = zcloop.StreamReader()
    first, second = payload(100), payload(5000)
    reader.feed_data(first)
    assert await reader.read(4096) is first
    reading = asyncio.create_task(reader.readexactly(5000))
    await asyncio.sleep(0)
    reader.feed_data(second)
    assert await reading is second


async def test_a_read_of_what_is_there_does_not_suspend():
    reader = zcloop.StreamReader()
    reader.feed_data(b"one\ntwo")
    for reading, wanted in ((reader.readline(), b"one\n"), (reader.read(1), b"t")):
        with pytest.raises(StopIteration) as ended:
            reading.send(None)
        assert ended.value.value == wanted


async def test_a_read_does_nothing_before_it_is_awaited():
    reader = zcloop.StreamReader()
    reader.feed_data(b"data")
    reading = reader.read(4)
    assert bytes(reader._buffer) == b"data"
    assert await reading == b"data"
    wrong = reader.readexactly(-1)
    with pytest.raises(ValueError):
        await wrong


async def test_a_read_is_a_coroutine_that_runs_once():
    reader = zcloop.StreamReader()
    reader.feed_data(b"abcd")
    reading = reader.read(1)
    assert isinstance(reading, collections.abc.Coroutine)
    assert asyncio.iscoroutine(reading)
    tasks = [asyncio.create_task(reader.read(1)) for _ in range(3)]
    assert await asyncio.gather(*tasks) == [b"a", b"b", b"c"]
    assert await reading == b"d"
    with pytest.raises(RuntimeError, match="reuse"):
        await reading


async def test_a_read_that_is_awaited_is_not_awaited_by_another():
    async with stream_and_peer() as (reader, _, peer):
        reading = reader.read(10)
        first = asyncio.create_task(reading)
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="awaited already"):
            await reading
        peer.send(b"data")
        assert await first == b"data"


async def test_a_read_that_nobody_awaits_warns():
    reader = zcloop.StreamReader()
    with pytest.warns(RuntimeWarning, match=r"'StreamReader.readline' was never awaited"):
        reader.readline()


async def test_a_read_is_made_by_a_reader_only():
    reading = zcloop.StreamReader().readline()
    reading.close()
    made = type(reading)
    with pytest.raises(TypeError, match="made by a StreamReader"):
        made().send(None)


async def test_a_closed_read_takes_nothing():
    reader = zcloop.StreamReader()
    reading = reader.read(1)
    reading.close()
    reader.feed_data(b"a")
    assert await reader.read(1) == b"a"


@pytest.mark.parametrize("name", ["read", "readexactly"])
async def test_a_cancelled_read_loses_nothing(name):
    """Also when its bytes came between the wake-up and the cancellation."""
    reader = zcloop.StreamReader()
    for is_woken in (False, True):
        task = asyncio.create_task(getattr(reader, name)(2))
        await asyncio.sleep(0)
        if is_woken:
            reader.feed_data(b"ab")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await reader.read(10) == b"ab"


async def test_timeouts_end_a_read_and_the_next_one_gets_the_bytes():
    async with stream_and_peer() as (reader, _, peer):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(4), 0.01)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await reader.readline()
        peer.send(b"late\n")
        assert await asyncio.wait_for(reader.readline(), 5) == b"late\n"


async def test_two_coroutines_may_not_wait_at_once():
    reader = zcloop.StreamReader()
    task = asyncio.create_task(reader.read(1))
    await asyncio.sleep(0)
    for reading in (reader.readexactly(1), reader.readline(), reader.read()):
        with pytest.raises(RuntimeError, match="already waiting for incoming data"):
            await reading
    reader.feed_data(b"a")
    assert await task == b"a"


async def test_who_waits_exactly_is_woken_once():
    """Not by each piece: that many turns of a task are saved."""
    reader = zcloop.StreamReader(limit=4)
    task = asyncio.create_task(reader.readexactly(100))
    await asyncio.sleep(0)
    waiter = reader._waiter
    for _ in range(99):
        reader.feed_data(b"x")
        assert not waiter.done()
    reader.feed_data(b"x")
    assert waiter.done()
    assert await task == b"x" * 100


async def test_reading_beyond_the_limit_pauses_the_transport():
    async with stream_and_peer(limit=1000) as (reader, writer, peer):
        data = payload(10_000)
        peer.send(data[:2001])
        while writer.transport.is_reading():
            await io_passed()
        peer.send(data[2001:])
        assert await reader.readexactly(1001) == data[:1001]
        assert writer.transport.is_reading()
        assert await reader.readexactly(8999) == data[1001:]


async def test_lines_are_iterated_over_up_to_the_end():
    async with connected() as ((_, writer), (reader, _)):
        writer.writelines([b"one\n", b"two\nthr", b"ee"])
        writer.write_eof()
        assert [line async for line in reader] == [b"one\n", b"two\n", b"three"]
        assert reader.at_eof()


async def test_a_reset_is_raised_by_reads_and_drain_and_wait_closed():
    async with stream_and_peer() as (reader, writer, peer):
        reading = asyncio.create_task(reader.read(1))
        await asyncio.sleep(0)
        reset(peer)
        with pytest.raises(ConnectionResetError):
            await reading
        for again in (reader.read(1), reader.readline(), writer.drain(), writer.wait_closed()):
            with pytest.raises(ConnectionResetError):
                await again
        assert isinstance(reader.exception(), ConnectionResetError)


@pytest.mark.parametrize("wrong", [b"", (), (b"a", b"")])
async def test_empty_separators_are_refused(wrong):
    reader = zcloop.StreamReader()
    with pytest.raises(ValueError):
        await reader.readuntil(wrong)


async def test_bytes_like_objects_are_fed_and_searched_for():
    reader = zcloop.StreamReader()
    piece = bytearray(b"one;")
    reader.feed_data(piece)
    piece[:] = b"xxxx"
    reader.feed_data(memoryview(b"two.three"))
    assert await reader.readuntil(bytearray(b";")) == b"one;"
    assert await reader.readuntil((memoryview(b"."), b"three")) == b"two."


async def test_more_than_the_buffer_keeps_is_read_back_in_order():
    reader = zcloop.StreamReader(limit=1 << 20)
    data = payload(600_000)
    got = bytearray()
    for start in range(0, len(data), 3000):
        reader.feed_data(data[start : start + 3000])
        got += await reader.read(1700)
    reader.feed_eof()
    assert bytes(got) + await reader.read() == data
