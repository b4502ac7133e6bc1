"""Peers that reset, in storms and at every moment of a connection's life."""

import asyncio
import random
import socket
import struct

import pytest
from peers import io_passed, payload, reset
from recording import Recorder


class Server(Recorder):
    """Answers each piece with a lot, so that its queue is never empty for long."""

    def connection_made(self, transport):
        super().connection_made(transport)
        alive.add(self)

    def data_received(self, data):
        self.transport.write(payload(200_000))

    def connection_lost(self, exc):
        super().connection_lost(exc)
        alive.discard(self)


alive = set()


async def none_alive():
    while alive:
        await io_passed()


@pytest.mark.parametrize("seed", range(3))
async def test_a_storm_of_resets_leaves_the_server_and_its_books_in_order(seed):
    loop = asyncio.get_running_loop()
    source = random.Random(seed)
    async with await loop.create_server(Server, "127.0.0.1", 0, backlog=500) as server:
        address = server.sockets[0].getsockname()
        for _ in range(5):
            clients = [socket.create_connection(address) for _ in range(80)]
            for client in clients:
                if source.random() < 0.5:
                    client.send(b"x" * source.randrange(1, 40_000))
                if source.random() < 0.3:
                    await asyncio.sleep(0)
                (reset if source.random() < 0.8 else socket.socket.close)(client)
            await io_passed()
        await none_alive()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"x")
        assert len(await reader.readexactly(200_000)) == 200_000
        writer.close()
        await writer.wait_closed()
        await none_alive()


async def test_a_connection_reset_before_it_was_accepted_is_no_error():
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Server, "127.0.0.1", 0) as server:
        for _ in range(100):
            reset(socket.create_connection(server.sockets[0].getsockname()))
        await none_alive()
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        assert len(await reader.readexactly(200_000)) == 200_000
        writer.transport.abort()
        await none_alive()


async def test_clients_of_a_server_that_resets_each_learn_it():
    class Resets(Recorder):
        def connection_made(self, transport):
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            transport.abort()

    loop = asyncio.get_running_loop()
    async with await loop.create_server(Resets, "127.0.0.1", 0) as server:
        for _ in range(100):
            # The reset may be there before the connect is looked at.
            with pytest.raises(ConnectionResetError):
                _, client = await loop.create_connection(Recorder, *server.sockets[0].getsockname())
                raise await client.lost()


async def test_a_reset_while_output_is_queued_is_told_as_one():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        for _ in range(10):
            transport, protocol = await loop.create_connection(Recorder, *server.getsockname())
            peer, _ = server.accept()
            transport.write(bytes(20_000_000))
            await io_passed()
            reset(peer)
            assert type(await protocol.lost()) is ConnectionResetError
