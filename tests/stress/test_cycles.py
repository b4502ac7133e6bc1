"""Descriptors and memory stay flat when the same is done again and again."""

import asyncio
import gc
import os
import pathlib
import random
import socket

import leaks
import pytest
from peers import reset
from recording import Recorder

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_size():
    """Return the bytes of memory that the process has."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * PAGE


class Flat:
    """Assert that descriptors are as before, and memory is within a margin."""

    def __init__(self, margin):
        gc.collect()
        self.files, self.size, self.margin = leaks.open_files(), resident_size(), margin

    def check(self):
        gc.collect()
        assert dict(leaks.open_files() - self.files) == {}
        assert resident_size() - self.size < self.margin


class Echo(Recorder):
    def data_received(self, data):
        self.transport.write(data)


@pytest.mark.seconds(120)
async def test_twenty_thousand_connections_opened_and_closed():
    loop = asyncio.get_running_loop()
    source = random.Random(1)
    ends = [
        lambda writer: writer.close(),
        lambda writer: writer.transport.abort(),
        lambda writer: writer.write_eof(),
    ]

    async def cycle():
        reader, writer = await asyncio.open_connection(*address)
        if source.random() < 0.7:
            writer.write(b"x")
            await reader.readexactly(1)
        source.choice(ends)(writer)
        if not writer.transport.is_closing():
            await reader.read()
            writer.close()
        await writer.wait_closed()

    async with await loop.create_server(Echo, "127.0.0.1", 0, backlog=1000) as server:
        address = server.sockets[0].getsockname()
        for round_ in range(40):
            if round_ == 5:
                flat = Flat(16 << 20)
            for _ in range(10):
                await asyncio.gather(*(cycle() for _ in range(50)))
        while getattr(server, "_active_count", 0):
            await asyncio.sleep(0.001)
        flat.check()


@pytest.mark.seconds(60)
async def test_thousands_of_resets():
    loop = asyncio.get_running_loop()
    async with await loop.create_server(Echo, "127.0.0.1", 0, backlog=1000) as server:
        for _ in range(50):
            for client in [
                socket.create_connection(server.sockets[0].getsockname()) for _ in range(100)
            ]:
                client.send(b"x" * 1000)
                reset(client)
            await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()
        await writer.wait_closed()


@pytest.mark.seconds(120)
def test_ten_thousand_loops_made_run_and_closed(loop_factory):
    async def main():
        loop = asyncio.get_running_loop()
        ours, peer = socket.socketpair()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        peer.send(b"x")
        await protocol.received(1)
        transport.close()
        await protocol.lost()
        peer.close()

    for number in range(10_000):
        if number == 1000:
            flat = Flat(8 << 20)
        loop = loop_factory()
        if number % 3 == 0:
            loop.run_until_complete(asyncio.sleep(0))
        elif number % 3 == 1:
            loop.run_until_complete(main())
        loop.close()
        del loop
    flat.check()


@pytest.mark.seconds(60)
def test_five_thousand_runs_of_one_loop_with_a_live_connection(loop):
    async def start():
        ours, peer = socket.socketpair()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        return transport, protocol, peer

    transport, protocol, peer = loop.run_until_complete(start())
    for number in range(5000):
        peer.send(b"x")
        loop.run_until_complete(protocol.received(number + 1))
    transport.close()
    loop.run_until_complete(protocol.lost())
    peer.close()


@pytest.mark.seconds(60)
async def test_a_thousand_children():
    for _ in range(20):
        processes = await asyncio.gather(
            *(asyncio.create_subprocess_exec("true") for _ in range(50))
        )
        assert await asyncio.gather(*(each.wait() for each in processes)) == [0] * 50
