"""A stream's way up: data in order, end of file, the two ways of receiving."""

import asyncio
import contextlib
import random

import pytest
from peers import PAIRS, connection, io_passed, payload, receive_all
from recording import Recorder

pytestmark = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


class KeepsOpen(Recorder):
    keep_open = True


async def test_data_arrives_complete_and_in_order(pair):
    loop = asyncio.get_running_loop()
    data = payload(3_000_000)
    async with connection(Recorder, pair) as (_, protocol, peer):
        await loop.sock_sendall(peer, data)
        assert await protocol.received(len(data)) == data


async def test_small_messages_arrive_one_by_one_as_they_were_sent(pair):
    async with connection(Recorder, pair) as (_, protocol, peer):
        for number in range(200):
            peer.send(b"message %d" % number)
            await protocol.until(lambda number=number: len(protocol.names) == number + 2)
        messages = [call[1] for call in protocol.calls[1:]]
        assert messages == [b"message %d" % number for number in range(200)]


async def test_changes_between_small_and_bulk_lose_and_repeat_nothing(pair):
    """Bursts make a stream receive in bulk, trickles lead it back."""
    loop = asyncio.get_running_loop()
    source = random.Random(1)
    sent = bytearray()
    async with connection(Recorder, pair) as (_, protocol, peer):
        for burst in range(12):
            piece = payload(source.randrange(100_000, 500_000), burst)
            sent += piece
            await loop.sock_sendall(peer, piece)
            if burst % 2:
                await protocol.received(len(sent))
            for number in range(40):
                piece = payload(source.randrange(1, 300), number)
                sent += piece
                await loop.sock_sendall(peer, piece)
                if burst % 3:
                    await protocol.received(len(sent))
        assert await protocol.received(len(sent)) == sent


async def test_data_sent_before_the_transport_existed_is_delivered(pair):
    loop = asyncio.get_running_loop()
    with pair() as (ours, peer):
        peer.send(b"early")
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        assert await protocol.received(5) == b"early"
        transport.abort()
        await protocol.lost()


async def test_connection_made_comes_first(pair):
    async with connection(Recorder, pair) as (transport, protocol, _peer):
        assert protocol.calls == [("connection_made",)]
        assert protocol.transport is transport


async def test_eof_closes_unless_the_protocol_says_otherwise(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        peer.send(b"last")
        peer.close()
        assert await protocol.lost() is None
        assert protocol.names == [
            "connection_made", "data_received", "eof_received", "connection_lost",
        ]  # fmt: skip
        assert transport.is_closing()


@pytest.mark.parametrize("size", [1, 1_000_000])
async def test_a_half_closed_connection_can_still_be_written_to(pair, size):
    loop = asyncio.get_running_loop()
    data = payload(size)
    async with connection(KeepsOpen, pair) as (transport, protocol, peer):
        await loop.sock_sendall(peer, data)
        peer.shutdown(1)
        await protocol.until(lambda: "eof_received" in protocol.names)
        assert protocol.data == data and not transport.is_closing()
        transport.write(data)
        transport.close()
        assert await receive_all(peer) == data
        assert await protocol.lost() is None
        assert protocol.names.count("eof_received") == 1


@pytest.mark.zcloop_only  # asyncio tells it again after resume_reading
async def test_eof_is_told_once_and_reading_is_over(pair):
    async with connection(KeepsOpen, pair) as (transport, protocol, peer):
        peer.shutdown(1)
        await protocol.until(lambda: "eof_received" in protocol.names)
        transport.pause_reading()
        transport.resume_reading()
        await io_passed()
        assert protocol.names == ["connection_made", "eof_received"]


async def test_no_data_is_delivered_after_close(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        peer.send(b"x")
        await protocol.received(1)
        peer.send(b"unread")
        transport.close()
        await protocol.lost()
        await io_passed()
        assert protocol.data == b"x"
        assert protocol.names == ["connection_made", "data_received", "connection_lost"]


async def test_a_close_inside_data_received_ends_the_delivery(pair):
    class Closes(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.close()

    loop = asyncio.get_running_loop()
    async with connection(Closes, pair) as (_, protocol, peer):
        await loop.sock_sendall(peer, payload(100_000))
        assert await protocol.lost() is None
        assert protocol.names.count("data_received") == 1


async def test_a_message_and_its_eof_at_once_come_in_order(pair):
    for _ in range(50):
        async with connection(Recorder, pair) as (_, protocol, peer):
            peer.send(b"message")
            peer.close()
            await protocol.lost()
            assert protocol.names[1:3] == ["data_received", "eof_received"]


async def test_many_connections_each_get_their_own_data(pair):
    async with contextlib.AsyncExitStack() as stack:
        made = [await stack.enter_async_context(connection(Recorder, pair)) for _ in range(200)]
        for number, (_, _, peer) in enumerate(made):
            peer.send(b"%06d" % number)
        for number, (_, protocol, _) in enumerate(made):
            assert await protocol.received(6) == b"%06d" % number
