"""What connection_lost says is so: the peer can see the end before the loop's next callback."""

import asyncio
import os
import select
import socket
from typing import Any

import pytest
from peers import PAIRS, connection, unix_pair
from recording import Recording

SECONDS_MAX = 5.0  # the loop is blocked meanwhile: a descriptor that it has yet to close stays open


def is_told(peer: socket.socket | int) -> bool:
    """Whether the peer has something to read, an end too, while the loop stands still."""
    return bool(select.select([peer], [], [], SECONDS_MAX)[0])


class Reader(Recording):
    """Ends the transport from data_received, as servers do, if it is to."""

    end: str | None = None

    def data_received(self, data: bytes) -> None:
        self.note("data_received", data)
        if self.end is not None:
            getattr(self.transport, self.end)()

    def eof_received(self) -> None:
        self.note("eof_received")


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("end", ["close", "abort"])
async def test_peer_sees_the_end_of_a_stream_that_is_lost(pair: Any, end: str) -> None:
    async with connection(Reader, pair) as (transport, protocol, peer):
        peer.send(b"x")
        await protocol.until(lambda: "data_received" in protocol.names)
        getattr(transport, end)()
        await protocol.lost()
        assert is_told(peer)
        assert peer.recv(1) == b""


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("end", ["close", "abort"])
async def test_peer_sees_the_end_of_a_stream_that_its_protocol_ends(pair: Any, end: str) -> None:
    async with connection(Reader, pair) as (_transport, protocol, peer):
        protocol.end = end
        peer.send(b"x")
        await protocol.lost()
        assert is_told(peer)
        assert peer.recv(1) == b""


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
async def test_peer_sees_the_end_in_the_callback_after_connection_lost(pair: Any) -> None:
    loop = asyncio.get_running_loop()
    async with connection(Reader, pair) as (transport, protocol, peer):
        peer.send(b"x")
        await protocol.until(lambda: "data_received" in protocol.names)
        told = loop.create_future()
        transport.abort()
        loop.call_soon(lambda: told.set_result(is_told(peer)))
        assert await told
        assert protocol.is_lost


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
async def test_peer_sees_the_end_of_a_stream_that_waits_for_room(pair: Any) -> None:
    async with connection(Reader, pair) as (transport, protocol, peer):
        while not protocol.calls or protocol.names[-1] != "pause_writing":
            transport.write(bytes(1 << 20))
        transport.abort()
        await protocol.lost()
        while is_told(peer):
            try:
                if not peer.recv(1 << 20):
                    return
            except ConnectionResetError:
                return
        pytest.fail("neither an end nor a reset")


async def test_peer_of_a_datagram_socket_that_is_lost_is_refused() -> None:
    loop = asyncio.get_running_loop()
    with unix_pair(socket.SOCK_DGRAM) as (ours, peer):
        transport, protocol = await loop.create_datagram_endpoint(Recording, sock=ours)
        transport.close()
        await protocol.lost()
        with pytest.raises(ConnectionRefusedError):
            peer.send(b"x")


async def test_reader_of_a_pipe_that_is_lost_sees_the_end() -> None:
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe()
    with open(reading, "rb", 0) as reader, open(writing, "wb", 0) as writer:
        transport, protocol = await loop.connect_write_pipe(Recording, writer)
        transport.close()
        await protocol.lost()
        assert is_told(reading)
        assert reader.read(1) == b""


async def test_writer_of_a_pipe_that_is_lost_is_refused() -> None:
    loop = asyncio.get_running_loop()
    reading, writing = os.pipe()
    with open(reading, "rb", 0) as reader, open(writing, "wb", 0) as writer:
        transport, protocol = await loop.connect_read_pipe(Reader, reader)
        os.write(writing, b"x")
        await protocol.until(lambda: "data_received" in protocol.names)
        transport.close()
        await protocol.lost()
        with pytest.raises(BrokenPipeError):
            writer.write(b"x")
