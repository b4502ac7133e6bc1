"""Messages over TLS, record by record: the peer is OpenSSL over a plain socket."""

import asyncio
import contextlib
import socket
import ssl
import weakref

import pytest
from encryption import Peer, encrypted
from peers import io_passed, payload
from recording import BufferedRecorder, Recorder

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@contextlib.asynccontextmanager
async def peer_of(certificates, factory=Recorder, version=ssl.TLSVersion.TLSv1_3):
    loop = asyncio.get_running_loop()
    protocol = factory()
    context = certificates.client_context()
    context.minimum_version = context.maximum_version = version
    server = await loop.create_server(
        lambda: protocol, "127.0.0.1", 0, ssl=certificates.server_context()
    )
    async with server:
        with socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, server.sockets[0].getsockname())
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peer = Peer(sock, context)
            await peer.do(peer.tls.do_handshake)
            await protocol.until(lambda: protocol.transport is not None)
            try:
                yield protocol, peer
            finally:
                protocol.transport.abort()
                await protocol.lost()


@pytest.mark.parametrize("version", VERSIONS)
async def test_records_that_come_together_are_one_call(certificates, version):
    async with peer_of(certificates, version=version) as (protocol, peer):
        await peer.send(peer.encrypted(b"one", b"two", b"three"))
        assert await protocol.received(11) == b"onetwothree"
        assert protocol.names.count("data_received") == 1


@pytest.mark.parametrize("factory", [Recorder, BufferedRecorder])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_record_may_come_byte_by_byte(certificates, factory, version):
    async with peer_of(certificates, factory, version) as (protocol, peer):
        for byte in peer.encrypted(b"slow", b"ly"):
            await peer.send(bytes([byte]))
            await io_passed()
        assert await protocol.received(6) == b"slowly"


@pytest.mark.parametrize("cut", [1, 5, 16_000, 16_406, 16_500, 40_000])
async def test_long_messages_may_be_cut_anywhere(certificates, cut):
    data = payload(100_000)
    async with peer_of(certificates) as (protocol, peer):
        pieces = [data[start : start + 16_384] for start in range(0, len(data), 16_384)]
        ciphertext = peer.encrypted(*pieces, b"and more")
        await peer.send(ciphertext[:cut])
        await io_passed()
        await peer.send(ciphertext[cut:])
        assert await protocol.received(100_008) == data + b"and more"


@pytest.mark.parametrize("size", [1, 16_384, 16_385, 100_000, 1_000_000])
@pytest.mark.parametrize("version", VERSIONS)
async def test_messages_of_any_size_arrive_both_ways(certificates, size, version):
    data = payload(size)
    async with peer_of(certificates, version=version) as (protocol, peer):
        protocol.transport.write(data)
        assert await peer.received(size) == data
        for start in range(0, size, 16_384):
            await peer.send(peer.encrypted(data[start : start + 16_384]))
        assert await protocol.received(size) == data


async def test_what_came_before_the_end_is_delivered_first(certificates):
    async with peer_of(certificates) as (protocol, peer):
        ciphertext = peer.encrypted(b"last words")
        with contextlib.suppress(ssl.SSLWantReadError):
            peer.tls.unwrap()
        await peer.send(ciphertext + peer.outgoing.read())
        assert await protocol.lost() is None
        assert protocol.names == [
            "connection_made",
            "data_received",
            "eof_received",
            "connection_lost",
        ]
        assert protocol.data == b"last words"


async def test_a_broken_record_ends_the_connection(certificates):
    async with peer_of(certificates) as (protocol, peer):
        ciphertext = bytearray(peer.encrypted(b"good") + peer.encrypted(b"bad"))
        ciphertext[-1] ^= 1
        await peer.send(ciphertext)
        assert isinstance(await protocol.lost(), ssl.SSLError)
    assert b"bad" not in protocol.data


async def test_nothing_is_delivered_while_reading_is_paused(certificates):
    async with peer_of(certificates) as (protocol, peer):
        protocol.transport.pause_reading()
        await peer.send(peer.encrypted(b"early"))
        await io_passed()
        assert protocol.data == b""
        protocol.transport.resume_reading()
        assert await protocol.received(5) == b"early"
        await peer.send(peer.encrypted(b"late"))
        assert await protocol.received(9) == b"earlylate"


async def test_a_protocol_may_pause_and_be_exchanged_from_within(certificates):
    following = Recorder()

    class First(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.set_protocol(following)

    async with peer_of(certificates, First) as (protocol, peer):
        following.transport = protocol.transport
        await peer.send(peer.encrypted(b"first"))
        assert await protocol.received(5) == b"first"
        await peer.send(peer.encrypted(b"second"))
        assert await following.received(6) == b"second"
        protocol.transport.set_protocol(protocol)


async def test_a_buffered_protocol_that_leaves_plaintext_is_followed(certificates):
    """What the one protocol did not take of a record goes to the next."""
    following = Recorder()

    class Small(BufferedRecorder):
        def buffer_updated(self, nbytes):
            super().buffer_updated(nbytes)
            if self.transport.get_protocol() is self:
                self.transport.set_protocol(following)

    async with peer_of(certificates, lambda: Small(4)) as (protocol, peer):
        await peer.send(peer.encrypted(b"abcdefgh"))
        await protocol.until(lambda: protocol.data)
        await peer.send(peer.encrypted(b"!"))
        await following.until(lambda: b"!" in following.data or b"!" in protocol.data)
        assert bytes(protocol.data + following.data) == b"abcdefgh!"
        protocol.transport.set_protocol(protocol)


async def test_an_error_of_the_protocol_ends_the_connection(certificates):
    seen = []

    class Wrong(Recorder):
        def data_received(self, data):
            raise ZeroDivisionError("wrong")

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: seen.append(context["exception"]))
    async with peer_of(certificates, Wrong) as (protocol, peer):
        await peer.send(peer.encrypted(b"x"))
        await protocol.lost()
    assert [type(error) for error in seen] == [ZeroDivisionError]


async def test_a_peer_that_does_not_read_pauses_the_writer(certificates):
    data = payload(20_000_000)
    async with peer_of(certificates) as (protocol, peer):
        sent = 0
        while "pause_writing" not in protocol.names:
            protocol.transport.write(data[sent : sent + 100_000])
            sent += 100_000
        assert await peer.received(sent) == data[:sent]
        await protocol.until(lambda: "resume_writing" in protocol.names)
        assert protocol.transport.get_write_buffer_size() == 0
        protocol.transport.write(b"next")
        assert await peer.received(4) == b"next"


async def test_limits_of_nothing_pause_at_once(certificates):
    async with peer_of(certificates) as (protocol, peer):
        protocol.transport.set_write_buffer_limits(0)
        protocol.transport.write(b"x")
        assert await peer.received(1) == b"x"
        assert "pause_writing" in protocol.names


async def test_writelines_is_one_segment(certificates):
    async with peer_of(certificates) as (protocol, peer):
        protocol.transport.writelines([b"a", b"", bytearray(b"b"), memoryview(b"c")])
        assert await peer.received(3) == b"abc"
        protocol.transport.writelines([])
        protocol.transport.write(b"")
        protocol.transport.write(b"d")
        assert await peer.received(1) == b"d"


async def test_a_transport_closed_twice_lets_go_of_the_connection(certificates):
    """Whoever keeps the transport keeps neither the context nor the keys."""
    async with encrypted(certificates) as (protocol, peer):
        transport = peer.transport
        connection = weakref.ref(transport._ssl_protocol)
        transport.close()
        transport.close()
        await protocol.lost()
        await peer.lost()
        await io_passed()
        assert connection() is None
        transport.write(b"late")
        transport.writelines([b"later"])
        transport.abort()  # an AttributeError of Python 3.11.2's own transport


async def test_writing_after_the_end_is_ignored(certificates):
    async with encrypted(certificates) as (protocol, peer):
        peer.transport.close()
        await protocol.lost()
        protocol.transport.write(b"late")
        protocol.transport.writelines([b"later"])
