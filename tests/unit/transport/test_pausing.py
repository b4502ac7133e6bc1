"""pause_reading: nothing after it returns, nothing lost, order kept; and set_protocol."""

import asyncio
import random

import pytest
from peers import PAIRS, connection, io_passed, payload
from recording import BufferedRecorder, Recorder

pytestmark = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
SIZES = pytest.mark.parametrize("size", [10, 50_000, 150_000])


@SIZES
async def test_nothing_is_delivered_between_pause_and_resume(pair, size):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        transport.pause_reading()
        assert not transport.is_reading()
        peer.send(payload(size))
        await io_passed()
        await io_passed()
        assert protocol.names == ["connection_made"]
        transport.resume_reading()
        assert transport.is_reading()
        await protocol.received(1)


async def test_pause_and_resume_at_any_time_keep_all_data_in_order(pair):
    loop = asyncio.get_running_loop()
    source = random.Random(2)
    data = payload(2_000_000)

    class Checks(Recorder):
        def data_received(self, data):
            assert self.transport.is_reading()
            super().data_received(data)
            if source.random() < 0.3:
                self.transport.pause_reading()
                loop.call_soon(self.transport.resume_reading)

    async def disturb(transport):
        while True:
            transport.pause_reading()
            for _ in range(source.randrange(4)):
                await asyncio.sleep(0)
            transport.resume_reading()
            for _ in range(source.randrange(4)):
                await asyncio.sleep(0)

    async with connection(Checks, pair) as (transport, protocol, peer):
        disturbing = asyncio.ensure_future(disturb(transport))
        sent = 0
        while sent < len(data):
            size = source.choice([1, 100, 5000, 100_000])
            await loop.sock_sendall(peer, data[sent : sent + size])
            sent += size
        assert await protocol.received(len(data)) == data
        disturbing.cancel()


@SIZES
async def test_pausing_inside_data_received_stops_what_already_arrived(pair, size):
    loop = asyncio.get_running_loop()

    class PausesEachTime(Recorder):
        def data_received(self, data):
            assert self.transport.is_reading()
            super().data_received(data)
            self.transport.pause_reading()

    data = payload(size * 3)
    async with connection(PausesEachTime, pair) as (transport, protocol, peer):
        sending = asyncio.ensure_future(loop.sock_sendall(peer, data))
        while len(protocol.data) < len(data):
            before = len(protocol.names)
            transport.resume_reading()
            await protocol.until(lambda before=before: len(protocol.names) > before)
            await io_passed()
            assert len(protocol.names) == before + 1
        await sending
        assert protocol.data == data


async def test_pause_and_resume_within_one_turn_is_as_if_nothing_happened(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        for number in range(300):
            transport.pause_reading()
            transport.resume_reading()
            peer.send(b"x")
            if number % 3 == 0:
                await protocol.received(number + 1)
        await protocol.received(300)


async def test_resume_and_pause_within_one_turn_delivers_nothing(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        peer.send(b"one")
        transport.pause_reading()
        await io_passed()
        transport.resume_reading()
        transport.pause_reading()
        await io_passed()
        assert protocol.data == b""
        transport.resume_reading()
        assert await protocol.received(3) == b"one"


async def test_pause_and_resume_are_idempotent(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        transport.resume_reading()
        transport.pause_reading()
        transport.pause_reading()
        transport.resume_reading()
        peer.send(b"x")
        await protocol.received(1)
        transport.abort()
        transport.pause_reading()
        transport.resume_reading()
        assert not transport.is_reading()


async def test_pausing_in_connection_made_holds_even_the_first_data(pair):
    class Paused(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    async with connection(Paused, pair) as (transport, protocol, peer):
        peer.send(b"x")
        await io_passed()
        assert protocol.data == b""
        transport.resume_reading()
        await protocol.received(1)


async def test_the_end_of_file_waits_while_reading_is_paused(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        peer.send(b"x")
        await protocol.received(1)
        transport.pause_reading()
        peer.send(b"y")
        peer.close()
        await io_passed()
        assert protocol.names == ["connection_made", "data_received"]
        transport.resume_reading()
        await protocol.lost()
        assert protocol.data == b"xy" and "eof_received" in protocol.names


async def test_a_paused_transport_closes(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        peer.send(b"unread")
        transport.pause_reading()
        await io_passed()
        transport.close()
        assert await protocol.lost() is None
        assert protocol.data == b""


async def test_what_was_held_goes_to_the_new_protocol(pair):
    async with connection(Recorder, pair) as (transport, first, peer):
        peer.send(b"one")
        await first.received(3)
        transport.pause_reading()
        peer.send(b"two")
        await io_passed()
        second = Recorder()
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        transport.resume_reading()
        assert await second.received(3) == b"two"
        assert first.data == b"one"


@pytest.mark.parametrize(
    "kinds",
    [(Recorder, BufferedRecorder), (BufferedRecorder, Recorder), (BufferedRecorder,) * 2],
)
@SIZES
async def test_set_protocol_inside_a_callback_hands_the_rest_to_the_new_one(pair, size, kinds):
    loop = asyncio.get_running_loop()
    first_kind, second_kind = kinds
    second = second_kind()
    data = payload(size * 2)

    class Hands(first_kind):
        def note(self, *call):
            super().note(*call)
            if call[0] in ("data_received", "buffer_updated"):
                self.transport.set_protocol(second)

    def small():
        return Hands(7) if first_kind is BufferedRecorder else Hands()

    async with connection(small, pair) as (_, first, peer):
        await loop.sock_sendall(peer, data[:size])
        await first.received(1)
        sending = asyncio.ensure_future(loop.sock_sendall(peer, data[size:]))
        await second.until(lambda: len(first.data) + len(second.data) >= len(data))
        await sending
        assert first.data + second.data == data
        assert len(first.calls) == 2
