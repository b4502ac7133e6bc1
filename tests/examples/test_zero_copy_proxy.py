"""zero_copy_proxy.py carries everything in both directions, and loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import operator
import random
import signal
import socket

import pytest
from example_programs import bounded, connection, echoed, lending_only, place_text, server

pytestmark = pytest.mark.filterwarnings("error")


@contextlib.asynccontextmanager
async def proxy(backend: tuple[str, int], ending: signal.Signals = signal.SIGINT):
    async with server("zero_copy_proxy.py", ending, "--to", place_text(backend)) as address:
        yield address


@contextlib.asynccontextmanager
async def backend(handler):
    """Yield the address of a server in this process, whose connections `handler` gets."""
    served = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with served:
        yield served.sockets[0].getsockname()


@lending_only
@bounded
async def test_proxy_carries_everything_of_several_clients_that_half_close():
    payloads = [random.Random(seed).randbytes(2_000_000) for seed in range(8)]
    async with server("echo_server.py") as echo, proxy(echo) as address:
        answers = await asyncio.gather(*(echoed(address, payload) for payload in payloads))
    assert [len(answer) for answer in answers] == [len(payload) for payload in payloads]
    assert all(map(operator.eq, answers, payloads))


@lending_only
@bounded
async def test_proxy_passes_on_the_end_of_either_side_while_the_other_goes_on():
    async def speak_first(reader, writer):
        writer.write(b"that is all from me")
        writer.write_eof()
        received.set_result(await reader.read())
        writer.close()

    received = asyncio.get_running_loop().create_future()
    async with (
        backend(speak_first) as place,
        proxy(place, signal.SIGTERM) as address,
        connection(address) as (reader, writer),
    ):
        assert await reader.read() == b"that is all from me"
        writer.write(b"and this from me")
        writer.write_eof()
        assert await received == b"and this from me"


@lending_only
@bounded
async def test_proxy_does_not_read_what_the_other_side_does_not_take_and_loses_nothing():
    async def listen_later(reader, writer):
        await may_read.wait()
        received.set_result(await reader.read())
        writer.close()

    loop = asyncio.get_running_loop()
    may_read, received = asyncio.Event(), loop.create_future()
    payload = random.Random(1).randbytes(64_000_000)
    with socket.socket() as client:
        client.setblocking(False)
        async with backend(listen_later) as place, proxy(place) as address:
            await loop.sock_connect(client, address)
            sending = loop.create_task(loop.sock_sendall(client, payload))
            # A proxy that keeps everything would have taken it long before.
            assert await asyncio.wait([sending], timeout=1) == (set(), {sending})
            may_read.set()
            await sending
            client.shutdown(socket.SHUT_WR)
            assert operator.eq(await received, payload)


@lending_only
@bounded
async def test_proxy_closes_a_client_whose_backend_is_not_there():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        async with proxy(bound.getsockname()) as address, connection(address) as (reader, _):
            assert await reader.read() == b""
