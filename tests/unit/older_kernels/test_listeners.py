"""Listeners: many connections, several listeners, and their ends."""

import asyncio
import contextlib
import socket

import pytest
from peers import io_passed, payload, receive_exactly
from recording import Recorder


class RecordingEcho(Recorder):
    def data_received(self, data):
        super().data_received(data)
        self.transport.write(data)


@contextlib.asynccontextmanager
async def serving(create, *arguments, factory=RecordingEcho):
    """A server, and the protocols it made; all of it is gone at the end."""
    made = []

    def remembered():
        made.append(factory())
        return made[-1]

    server = await create(remembered, *arguments)
    try:
        yield server, made
    finally:
        server.close()
        for protocol in made:
            protocol.transport.abort()
            await protocol.lost()


async def echoed(address, data, family=socket.AF_INET):
    """Whether what is sent to `address` comes back."""
    loop = asyncio.get_running_loop()
    with socket.socket(family) as client:
        client.setblocking(False)
        await loop.sock_connect(client, address)
        await loop.sock_sendall(client, data)
        return await receive_exactly(client, len(data)) == data


def create_server():
    return asyncio.get_running_loop().create_server


async def test_two_hundred_connections_at_once_are_served():
    async with serving(create_server(), "127.0.0.1", 0) as (server, made):
        address = server.sockets[0].getsockname()
        answers = await asyncio.gather(*(echoed(address, payload(100, n)) for n in range(200)))
        assert answers == [True] * 200 == [len(each.data) == 100 for each in made]


async def test_several_listeners_that_begin_at_once_are_all_served(tmp_path):
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        begun = [
            stack.enter_async_context(serving(loop.create_server, ["127.0.0.1", "::1"], 0))
            for _ in range(5)
        ]
        path = str(tmp_path / "socket")
        begun.append(stack.enter_async_context(serving(loop.create_unix_server, path)))
        for server, made in await asyncio.gather(*begun):
            for sock in server.sockets:
                for _ in range(3):
                    assert await echoed(sock.getsockname(), b"x" * 1000, sock.family)
            assert len(made) == 3 * len(server.sockets)


@pytest.mark.zcloop_only  # asyncio may have accepted some that get their protocols after the close
@pytest.mark.parametrize("turns", range(4))
async def test_a_listener_closed_with_connections_waiting_ends_them(turns):
    loop = asyncio.get_running_loop()
    async with serving(loop.create_server, "127.0.0.1", 0, factory=Recorder) as (server, _):
        await io_passed()
        clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(50)]
        for _ in range(turns):
            await asyncio.sleep(0)
    for client in clients:
        with client, contextlib.suppress(ConnectionResetError):
            client.setblocking(False)
            assert await loop.sock_recv(client, 1) == b""


async def test_a_connection_that_closes_the_server_is_served():
    class Closes(RecordingEcho):
        def connection_made(self, transport):
            super().connection_made(transport)
            server.close()

    async with serving(create_server(), "127.0.0.1", 0, factory=Closes) as (server, made):
        address = server.sockets[0].getsockname()
        assert await echoed(address, b"x")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        assert len(made) == 1


async def test_the_port_is_free_when_close_returns():
    address = "127.0.0.1", 0
    for _ in range(20):
        async with serving(create_server(), *address) as (server, _):
            address = server.sockets[0].getsockname()
            assert await echoed(address, b"x")
