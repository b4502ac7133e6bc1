"""A listener closed while connections wait in its backlog, accepted by the kernel or not."""

import asyncio
import contextlib
import gc
import socket
import warnings

import pytest
from peers import io_passed
from recording import Recorder


async def refused_or_ended(client):
    """Whether the client's connection ended without a byte."""
    client.setblocking(False)
    try:
        return await asyncio.get_running_loop().sock_recv(client, 1) == b""
    except ConnectionResetError:
        return True
    finally:
        client.close()


@pytest.mark.parametrize("turns", range(4))
async def test_every_waiting_client_learns_that_it_is_over(turns):
    loop = asyncio.get_running_loop()
    protocols = []

    def factory():
        protocols.append(Recorder())
        return protocols[-1]

    server = await loop.create_server(factory, "127.0.0.1", 0, backlog=100)
    address = server.sockets[0].getsockname()
    await io_passed()
    clients = [socket.create_connection(address) for _ in range(100)]
    for _ in range(turns):
        await asyncio.sleep(0)
    server.close()
    for protocol in protocols:
        protocol.transport.abort()
    assert await asyncio.gather(*map(refused_or_ended, clients)) == [True] * 100
    for protocol in protocols:
        await protocol.lost()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


def test_clients_that_came_while_the_loop_did_not_run_learn_it_too(loop):
    server = loop.run_until_complete(loop.create_server(Recorder, "127.0.0.1", 0))
    loop.run_until_complete(asyncio.sleep(0.001))
    clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(30)]
    server.close()
    for client in clients:
        assert loop.run_until_complete(refused_or_ended(client))


def test_closing_the_loop_closes_what_was_accepted_and_never_served(loop_factory):
    loop = loop_factory()
    server = loop.run_until_complete(loop.create_server(Recorder, "127.0.0.1", 0))
    loop.run_until_complete(asyncio.sleep(0.001))
    clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(30)]
    loop.call_soon(loop.stop)
    loop.run_forever()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        server.close()
        loop.close()
        del server, loop
        gc.collect()
    for client in clients:
        client.settimeout(5)
        with client, contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
