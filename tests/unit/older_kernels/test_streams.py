"""Streams: every byte, pauses, ends and changes of protocol."""

import asyncio
import random
import socket
import ssl

import pytest
from peers import PAIRS, connection, io_passed, payload, receive_all, receive_exactly
from recording import BufferedRecorder, Recorder

import zcloop

pytestmark = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
SIZES = [1, 100, 16_384, 16_385, 70_000, 1 << 20]


class RecordingEcho(Recorder):
    def data_received(self, data):
        super().data_received(data)
        self.transport.write(data)


class BufferedEcho(BufferedRecorder):
    def buffer_updated(self, nbytes):
        super().buffer_updated(nbytes)
        self.transport.write(bytes(self.buffer[:nbytes]))


async def exchange(peer, protocol, data):
    """Whether `data` came to the protocol, and back to the peer."""
    loop = asyncio.get_running_loop()
    before = len(protocol.data)
    _, answer = await asyncio.gather(
        loop.sock_sendall(peer, data), receive_exactly(peer, len(data))
    )
    return (await protocol.received(before + len(data)))[before:] == data and answer == data


@pytest.mark.parametrize("factory", [RecordingEcho, BufferedEcho])
async def test_an_echo_of_every_size_keeps_every_byte(pair, factory):
    async with connection(factory, pair) as (_, protocol, peer):
        for size in SIZES + SIZES[::-1] + [10] * 40 + [1 << 20]:
            assert await exchange(peer, protocol, payload(size, size))


async def test_a_buffered_protocol_of_tiny_buffers_gets_all(pair):
    async with connection(lambda: BufferedEcho(7), pair) as (_, protocol, peer):
        assert await exchange(peer, protocol, payload(5000))


async def test_fifty_streams_that_begin_at_once_are_all_served(pair):
    async def serve_one(number):
        async with connection(RecordingEcho, pair) as (_, protocol, peer):
            for size in (10, 50_000, 10):
                assert await exchange(peer, protocol, payload(size, number))

    await asyncio.gather(*map(serve_one, range(50)))


async def test_streams_that_were_paused_when_others_began_are_served(pair):
    async with connection(RecordingEcho, pair) as (first, heard, one):
        first.pause_reading()
        async with connection(RecordingEcho, pair) as (second, _, _):
            await io_passed()
            second.pause_reading()
            first.resume_reading()
            assert await exchange(one, heard, payload(100))


async def test_pausing_before_any_data_holds_all_of_it(pair):
    class Pauses(RecordingEcho):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()

    async with connection(Pauses, pair) as (transport, protocol, peer):
        peer.send(payload(50_000))
        await io_passed()
        assert protocol.names == ["connection_made"]
        transport.resume_reading()
        assert await receive_exactly(peer, 50_000) == payload(50_000)


@pytest.mark.parametrize("factory", [Recorder, BufferedRecorder])
async def test_pausing_and_resuming_with_data_in_flight_loses_nothing(pair, factory):
    loop = asyncio.get_running_loop()
    source = random.Random(3)
    data = payload(1_500_000)

    async def disturb(transport):
        while True:
            for turn in (transport.pause_reading, transport.resume_reading):
                turn()
                for _ in range(source.randrange(4)):
                    await asyncio.sleep(0)

    async with connection(factory, pair) as (transport, protocol, peer):
        disturbing = asyncio.ensure_future(disturb(transport))
        sent = 0
        while sent < len(data):
            size = source.choice([1, 100, 5000, 100_000])
            await loop.sock_sendall(peer, data[sent : sent + size])
            sent += size
        assert await protocol.received(len(data)) == data
        disturbing.cancel()


@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("turns", range(3))
async def test_closing_with_a_receive_in_flight_frees_everything(pair, end, turns):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        for _ in range(turns):
            await asyncio.sleep(0)
        peer.send(b"x" * 100)
        getattr(transport, end)()
        assert await protocol.lost() is None
        assert "data_received" not in protocol.names[2:]
        assert transport.get_extra_info("socket").fileno() == -1


async def test_an_end_of_file_comes_after_the_data_and_may_keep_open(pair):
    class KeepsOpen(RecordingEcho):
        keep_open = True

    async with connection(KeepsOpen, pair) as (transport, protocol, peer):
        peer.send(payload(40_000))
        peer.shutdown(socket.SHUT_WR)
        await protocol.until(lambda: protocol.names[-1] == "eof_received")
        assert protocol.data == payload(40_000)
        transport.write(b"after")
        transport.write_eof()
        assert await receive_all(peer) == payload(40_000) + b"after"
        assert not protocol.is_lost


async def test_an_end_of_file_during_a_pause_is_told_after_it(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        transport.pause_reading()
        peer.send(b"last")
        peer.shutdown(socket.SHUT_WR)
        await io_passed()
        assert protocol.names == ["connection_made"]
        transport.resume_reading()
        assert await protocol.lost() is None
        assert protocol.data == b"last" and protocol.names[-2] == "eof_received"


async def test_after_write_eof_the_peer_still_sends(pair):
    async with connection(Recorder, pair) as (transport, protocol, peer):
        transport.write(payload(30_000))
        transport.write_eof()
        assert await receive_all(peer) == payload(30_000)
        peer.send(b"answer")
        assert await protocol.received(6) == b"answer"


@pytest.mark.parametrize("size", [10, 100_000])
async def test_another_protocol_gets_what_comes_after_the_change(pair, size):
    class Changes(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.set_protocol(following)

    following = BufferedRecorder(1000)
    loop = asyncio.get_running_loop()
    async with connection(Changes, pair) as (_, protocol, peer):
        await loop.sock_sendall(peer, payload(10))
        await protocol.received(10)
        await loop.sock_sendall(peer, payload(size))
        assert await following.received(size) == payload(size)
        following.transport = protocol.transport


def contexts():
    """Anonymous TLS, which needs no certificate."""
    made = []
    for side in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT):
        context = ssl.SSLContext(side)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")
        made.append(context)
    return made


async def test_a_connection_becomes_tls_and_keeps_every_byte(pair):
    loop = asyncio.get_running_loop()
    server_context, client_context = contexts()
    async with connection(Recorder, pair) as (transport, client, peer):
        other, server = await loop.connect_accepted_socket(RecordingEcho, peer.dup())
        other.write(b"220 go ahead")
        await client.received(12)
        secure_server, secure_client = await asyncio.gather(
            loop.start_tls(other, server, server_context, server_side=True),
            loop.start_tls(transport, client, client_context),
        )
        server.transport = secure_server
        for size in SIZES:
            before = len(client.data)
            secure_client.write(payload(size))
            assert (await client.received(before + size))[before:] == payload(size)
        secure_client.close()
        await asyncio.gather(client.lost(), server.lost())


@pytest.mark.zcloop_only
async def test_a_protocol_that_is_lent_its_data_may_take_over_in_any_callback(pair):
    class Lent(Recorder, zcloop.ZeroCopyProtocol):
        def buffer_received(self, view):
            with view:
                self.data += view
            self.note("buffer_received")
            if len(self.data) > 5000 and self.following:
                take_over(self.transport, self.following.pop())

    def take_over(transport, protocol):
        protocol.transport = transport
        transport.pause_reading()
        transport.set_protocol(protocol)
        transport.resume_reading()

    class Changes(BufferedRecorder):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            take_over(self.transport, lent)

    lent, last = Lent(), Recorder()
    lent.following = [last]
    async with connection(Changes, pair) as (_, protocol, peer):
        for size in (10, 100, 6000, 100, 40_000, 100):
            peer.send(payload(size))
            await io_passed()
        await last.received(40_100)
        assert protocol.data + lent.data + last.data == b"".join(
            payload(size) for size in (10, 100, 6000, 100, 40_000, 100)
        )
