"""Connecting where nobody listens."""

import asyncio
import contextlib
import socket

import pytest
from recording import Recorder


@contextlib.contextmanager
def unused_address():
    """An address that is bound, so nobody else gets it, and not listened on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


async def test_every_one_of_many_connects_is_refused_and_leaves_nothing():
    loop = asyncio.get_running_loop()
    with unused_address() as address:
        results = await asyncio.gather(
            *(loop.create_connection(Recorder, *address) for _ in range(300)),
            return_exceptions=True,
        )
    assert {type(result) for result in results} == {ConnectionRefusedError}


async def test_a_unix_path_without_a_listener_is_refused(tmp_path):
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path)
        with pytest.raises(ConnectionRefusedError):
            await loop.create_unix_connection(Recorder, path)
    with pytest.raises(FileNotFoundError):
        await loop.create_unix_connection(Recorder, str(tmp_path / "nothing"))


async def test_a_server_on_a_port_in_use_raises_and_frees_what_it_bound():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = other.getsockname()
        with pytest.raises(OSError, match="address already in use"):
            await loop.create_server(Recorder, *address)


async def test_connecting_again_and_again_succeeds_once_somebody_listens():
    loop = asyncio.get_running_loop()
    with unused_address() as address:
        for _ in range(5):
            with pytest.raises(ConnectionRefusedError):
                await loop.create_connection(Recorder, *address)
    async with await loop.create_server(Recorder, *address):
        transport, protocol = await loop.create_connection(Recorder, *address)
        transport.close()
        await protocol.lost()
