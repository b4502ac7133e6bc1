"""start_tls on a connection on which the TLS of the peer has arrived already."""

import asyncio
import contextlib
import ssl

import pytest
from encryption import Peer
from peers import gone, io_passed, payload, receive_exactly, tcp_pair
from recording import BufferedRecorder, Recorder

import zcloop

# asyncio leaves what the StreamReader has to the program, and waits for it for ever.
pytestmark = pytest.mark.zcloop_only

HEADER = b"PROXY TCP4 192.0.2.1 192.0.2.2 51234 443\r\n"
STREAMS = [asyncio, zcloop]


@contextlib.asynccontextmanager
async def served(streams, certificates, serve, limit=1 << 16):
    """`serve(reader, writer)` as a server's callback; its client, as OpenSSL and a socket."""
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    tasks = []

    async def serve_one(reader, writer):
        tasks.append(asyncio.current_task())
        try:
            ended.set_result(await serve(reader, writer))
        except Exception as error:
            ended.set_exception(error)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    with tcp_pair() as (ours, theirs):
        reader = streams.StreamReader(limit, loop)
        protocol = streams.StreamReaderProtocol(reader, serve_one, loop)
        transport, _ = await loop.create_connection(lambda: protocol, sock=ours)
        yield Peer(theirs, certificates.client_context()), ended
        theirs.close()
        await asyncio.gather(*tasks)
        await gone(transport)


async def upgrade(reader, writer, certificates):
    """Read the header, then take what follows as TLS."""
    assert await reader.readline() == HEADER
    await writer.start_tls(certificates.server_context())


async def upgrade_and_echo(reader, writer, certificates, size):
    await upgrade(reader, writer, certificates)
    writer.write(await reader.readexactly(size))
    await writer.drain()
    return writer.get_extra_info("cipher")


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("limit", [64, 1 << 16], ids=["paused", "roomy"])
@pytest.mark.parametrize("parts", [1, 2, 5])
async def test_a_hello_in_the_headers_segment_begins_the_handshake(
    certificates, streams, limit, parts
):
    async def serve(reader, writer):
        return await upgrade_and_echo(reader, writer, certificates, 5)

    async with served(streams, certificates, serve, limit) as (peer, ended):
        whole = HEADER + peer.hello()
        size = len(HEADER) + (len(whole) - len(HEADER)) // parts
        await peer.send(whole[:size])
        for start in range(size, len(whole), 100):
            await io_passed()
            await peer.send(whole[start : start + 100])
        await peer.do(peer.tls.do_handshake)
        await peer.send(peer.encrypted(b"hello"))
        assert await peer.received(5) == b"hello"
        assert await ended is not None


@pytest.mark.parametrize("streams", STREAMS)
async def test_the_handshake_takes_up_what_waits_in_a_paused_transport(certificates, streams):
    """Some is in the reader, some is held by the transport, some is still in the socket."""
    may_read = asyncio.Event()

    async def serve(reader, writer):
        await may_read.wait()
        return await upgrade_and_echo(reader, writer, certificates, 5)

    async with served(streams, certificates, serve, limit=64) as (peer, ended):
        for part in (HEADER, *[bytes([byte]) for byte in peer.hello()]):
            await peer.send(part)
            await io_passed()
        may_read.set()
        await peer.do(peer.tls.do_handshake)
        await peer.send(peer.encrypted(b"hello"))
        assert await peer.received(5) == b"hello"
        await ended


@pytest.mark.parametrize("streams", STREAMS)
async def test_flow_control_works_after_an_upgrade_of_a_paused_reader(certificates, streams):
    data = payload(2_000_000)
    go_on = asyncio.Event()

    async def serve(reader, writer):
        await upgrade(reader, writer, certificates)
        await go_on.wait()
        assert len(reader._buffer) < len(data) // 2, "the reader did not pause its transport"
        return await reader.readexactly(len(data))

    async with served(streams, certificates, serve, limit=64) as (peer, ended):
        await peer.send(HEADER + peer.hello())
        await peer.do(peer.tls.do_handshake)
        sending = asyncio.ensure_future(peer.send(peer.encrypted(data)))
        await io_passed()
        go_on.set()
        assert await ended == data
        await sending


@pytest.mark.parametrize("streams", STREAMS)
async def test_plaintext_sent_ahead_is_never_read_as_if_it_had_been_encrypted(
    certificates, streams
):
    """As of a command that somebody in between puts behind a client's STARTTLS."""

    async def serve(reader, writer):
        with pytest.raises(ssl.SSLError):
            await upgrade(reader, writer, certificates)
        with pytest.raises(ssl.SSLError):
            await reader.read()

    async with served(streams, certificates, serve) as (peer, ended):
        await peer.send(HEADER + b"MAIL FROM:<somebody@example.org>\r\n" + peer.hello())
        await ended


@pytest.mark.parametrize("streams", STREAMS)
async def test_a_client_may_read_what_the_server_had_said_in_the_clear(certificates, streams):
    """As with asyncio: a server's first bytes of TLS are an answer, so these are none."""
    with tcp_pair() as (ours, theirs):
        reader, writer = await streams.open_connection(sock=ours)
        await asyncio.get_running_loop().sock_sendall(theirs, b"go on\r\nread later\r\n")
        assert await reader.readline() == b"go on\r\n"
        upgrading = asyncio.ensure_future(
            writer.start_tls(certificates.client_context(), server_hostname="localhost")
        )
        await answer_as_server(theirs, certificates)
        await upgrading
        assert await reader.readline() == b"read later\r\n"
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        await gone(writer.transport)


async def answer_as_server(sock, certificates):
    peer = Peer(sock, certificates.client_context())
    peer.tls = certificates.server_context().wrap_bio(
        peer.incoming, peer.outgoing, server_side=True
    )
    await peer.do(peer.tls.do_handshake)


# ---- protocols of a program's own -------------------------------------------------------------


class Upgrading:
    """Takes the header, pauses, and starts TLS some turns later, for a Recorder to go on."""

    def __init__(self, certificates, *arguments):
        super().__init__(*arguments)
        self.certificates = certificates
        self.secure = Recorder()

    async def upgraded(self):
        await io_passed()
        self.secure.transport = await asyncio.get_running_loop().start_tls(
            self.transport, self.secure, self.certificates.server_context(), server_side=True
        )
        return self.secure


class Pauses(Upgrading, Recorder):
    def data_received(self, data):
        super().data_received(data)
        self.transport.pause_reading()


class TakesTheHeader(Upgrading, BufferedRecorder):
    def __init__(self, certificates):
        super().__init__(certificates, len(HEADER))

    def buffer_updated(self, nbytes):
        super().buffer_updated(nbytes)
        self.transport.pause_reading()


@pytest.mark.parametrize("kind", [Pauses, TakesTheHeader])
async def test_what_was_not_delivered_goes_to_tls_in_order(certificates, kind):
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, theirs):
        peer = Peer(theirs, certificates.client_context())
        _, protocol = await loop.create_connection(lambda: kind(certificates), sock=ours)
        hello = peer.hello()
        if kind is TakesTheHeader:
            await peer.send(HEADER + hello)
        else:
            await peer.send(HEADER)
            await protocol.received(len(HEADER))
            await peer.send(hello)
        assert await protocol.received(len(HEADER)) == HEADER
        upgrading = asyncio.ensure_future(protocol.upgraded())
        await peer.do(peer.tls.do_handshake)
        secure = await upgrading
        await peer.send(peer.encrypted(b"hello"))
        assert await secure.received(5) == b"hello"
        secure.transport.write(b"answer")
        assert await peer.received(6) == b"answer"
        secure.transport.abort()
        await secure.lost()


async def test_a_reader_over_tls_that_is_encrypted_once_more_loses_nothing(certificates):
    """TLS in TLS: the inner hello comes in the record of the header."""
    inner_context = certificates.client_context()

    async def serve(reader, writer):
        await writer.start_tls(certificates.server_context())
        return await upgrade_and_echo(reader, writer, certificates, 5)

    async with served(asyncio, certificates, serve) as (outer, ended):
        await outer.do(outer.tls.do_handshake)
        inner = Peer(outer.sock, inner_context)

        async def send(ciphertext):
            if ciphertext:
                await Peer.send(outer, outer.encrypted(ciphertext))

        async def fetch():
            inner.incoming.write(await outer.do(outer.tls.read, 1 << 16))

        inner.send, inner.fetch = send, fetch
        await send(HEADER + inner.hello())
        await inner.do(inner.tls.do_handshake)
        await inner.send(inner.encrypted(b"hello"))
        assert await inner.received(5) == b"hello"
        assert await ended is not None
        assert await receive_exactly(outer.sock, 0) == b""
