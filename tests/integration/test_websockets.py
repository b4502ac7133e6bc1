"""The websockets library as server and client on one loop, plain and over TLS."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import broadcast, serve
from websockets.exceptions import ConnectionClosed

from .payloads import digest, payload


async def echo(connection) -> None:
    async for message in connection:
        await connection.send(message)


def port_of(server) -> int:
    return server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
async def test_messages_come_back_whole_in_order_with_and_without_compression(secure, certificates):
    server_tls = certificates.server_context() if secure else None
    client_tls = certificates.client_context() if secure else None
    messages = ["tschüß", *(payload(size) for size in (0, 125, 65_536, 2_000_000))]
    async with serve(echo, "127.0.0.1", 0, ssl=server_tls, max_size=None) as server:
        uri = f"ws{'s' if secure else ''}://127.0.0.1:{port_of(server)}"
        for compression in ("deflate", None):
            async with connect(
                uri, ssl=client_tls, max_size=None, compression=compression
            ) as client:
                for message in messages:
                    await client.send(message)
                received = [await client.recv() for _ in messages]
                assert list(map(digest, received)) == list(map(digest, messages))


async def test_broadcast_reaches_every_client(certificates):
    clients = set()
    everybody_is_here = asyncio.Event()

    async def join(connection) -> None:
        clients.add(connection)
        if len(clients) == 30:
            everybody_is_here.set()
        await connection.wait_closed()

    async def listen(uri: str) -> list[str]:
        async with connect(uri) as client:
            return [await client.recv() for _ in range(100)]

    async with serve(join, "127.0.0.1", 0) as server:
        uri = f"ws://127.0.0.1:{port_of(server)}"
        listeners = [asyncio.create_task(listen(uri)) for _ in range(30)]
        await everybody_is_here.wait()
        for number in range(100):
            broadcast(clients, str(number))
        for heard in await asyncio.gather(*listeners):
            assert heard == [str(number) for number in range(100)]


async def test_server_closes_its_clients_with_going_away():
    async with serve(echo, "127.0.0.1", 0) as server:
        client = await connect(f"ws://127.0.0.1:{port_of(server)}")
        await client.send("hello")
        assert await client.recv() == "hello"
        server.close()
        with pytest.raises(ConnectionClosed) as raised:
            await client.recv()
        assert raised.value.rcvd.code == 1001
        await server.wait_closed()
        await client.close()
