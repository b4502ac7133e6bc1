"""What stands on the transports, with the collector at nearly every allocation.

Servers that accept, both kinds of streams, TLS, sendfile, calls of sockets, children and their
pipes go on at once. Garbage is made all the time whose finalizers close servers, pause and resume
transports, exchange readers, stop the loop. Every exchange ends, and brings what was sent.

ZCLOOP_COLLECTOR_SECONDS is how long each seed takes (3), every other one in debug mode.
ZCLOOP_COLLECTOR_SEEDS is how many (2).
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import socket
import sys
import tempfile

import pytest
from collecting import Final
from integration.certificates import make_certificates
from peers import payload, receive_all, unix_pair

import zcloop

SECONDS = float(os.environ.get("ZCLOOP_COLLECTOR_SECONDS", "3"))
SEEDS = int(os.environ.get("ZCLOOP_COLLECTOR_SEEDS", "2"))
SIZES = (1, 300, 5_000, 70_000, 300_000)
CHILD = "import shutil, sys; shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("certificates"))


class World:
    def __init__(self, loop, certificates, seed):
        self.loop = loop
        self.certificates = certificates
        self.random = random.Random(seed)
        self.transports = []
        self.servers = []
        self.readers = socket.socketpair()
        self.end = loop.time() + SECONDS
        self.done = dict.fromkeys(JOBS, 0)

    @property
    def is_over(self):
        return self.loop.time() >= self.end

    def some(self):
        size = self.random.choice(SIZES)
        return payload(size, size)

    # ---- what finalizers do ----------------------------------------------------------------------

    def litter(self):
        gc.set_threshold(self.random.choice((1, 2, 5, 30)))
        for _ in range(self.random.randrange(3)):
            Final(self.act)

    def act(self):
        if not self.is_over:
            self.random.choice((self.pause, self.pause, self.reader, self.loop.stop, self.close))()

    def pause(self):
        if self.transports:
            transport = self.random.choice(self.transports)
            if transport.is_closing() or not transport.is_reading():
                return
            transport.pause_reading()
            if self.random.random() < 0.5:
                transport.resume_reading()
            else:
                self.loop.call_soon(transport.resume_reading)

    def reader(self):
        self.loop.remove_reader(self.readers[0])
        self.loop.add_reader(self.readers[0], self.litter)

    def close(self):
        if self.servers:
            self.servers.pop().close()

    # ---- what goes on ----------------------------------------------------------------------------

    async def serve(self, reader, writer):
        """An echo that litters."""
        self.litter()
        while data := await reader.read(50_000):
            self.litter()
            writer.write(data)
            await writer.drain()
        writer.close()

    async def converse(self, reader, writer):
        data = self.some()
        transport = writer.transport
        self.transports.append(transport)
        self.litter()
        writer.write(data)
        self.litter()
        assert await reader.readexactly(len(data)) == data
        self.transports.remove(transport)
        writer.close()
        await writer.wait_closed()

    async def streams(self, module, tls=False):
        server = await module.start_server(
            self.serve, "127.0.0.1", 0, ssl=self.certificates.server_context() if tls else None
        )
        async with server:
            for _ in range(3):
                await self.converse(
                    *await module.open_connection(
                        *server.sockets[0].getsockname(),
                        limit=10_000,
                        ssl=self.certificates.client_context() if tls else None,
                        server_hostname="localhost" if tls else None,
                    )
                )

    async def asyncio_streams(self):
        await self.streams(asyncio)

    async def native_streams(self):
        await self.streams(zcloop)

    async def tls(self):
        await self.streams(self.random.choice((asyncio, zcloop)), True)

    async def accepting(self):
        """Whoever is accepted is served, and everybody else refused or reset."""
        # An address of its own: the port of one that is closed may be another job's next.
        server = await zcloop.start_server(self.serve, "127.0.0.2", 0)
        address = server.sockets[0].getsockname()
        self.servers.append(server)
        await asyncio.gather(*(self.visit(server, address) for _ in range(8)))
        server.close()
        if server in self.servers:
            self.servers.remove(server)

    async def visit(self, server, address):
        data = self.some()
        self.litter()
        with socket.socket() as sock:
            sock.setblocking(False)
            sending = None
            try:
                await self.loop.sock_connect(sock, address)
                sending = asyncio.ensure_future(self.loop.sock_sendall(sock, data))
                got = b""
                while len(got) < len(data):
                    self.litter()
                    piece = await self.loop.sock_recv(sock, 100_000)
                    if not piece:
                        break  # who sends has been told of the reset, which is told once
                    got += piece
                await sending
                assert got == data
            except ConnectionError:
                assert not server.is_serving()
                if sending is not None:
                    sending.cancel()
                    await asyncio.wait([sending])
                    sending.cancelled() or sending.exception()

    async def sendfile(self):
        data = self.some()
        with tempfile.TemporaryFile() as file, unix_pair() as (ours, peer):
            file.write(data)
            file.flush()
            transport, _ = await self.loop.create_connection(asyncio.Protocol, sock=ours)
            receiving = asyncio.ensure_future(receive_all(peer))
            self.litter()
            transport.write(b"before")
            assert await self.loop.sendfile(transport, file) == len(data)
            self.litter()
            transport.write(b"after")
            transport.close()
            assert await receiving == b"before" + data + b"after"

    async def sockets(self):
        data = self.some()
        with unix_pair() as (one, other):
            sending = asyncio.ensure_future(self.loop.sock_sendall(one, data))
            got = bytearray()
            room = bytearray(20_000)
            while len(got) < len(data):
                self.litter()
                got += room[: await self.loop.sock_recv_into(other, room)]
            await sending
        assert got == data

    async def child(self):
        data = self.some()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-E", "-c", CHILD,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self.litter()
        got, _ = await process.communicate(data)
        assert (process.returncode, got) == (0, data)

    async def again_and_again(self, name):
        while not self.is_over:
            self.litter()
            await getattr(self, name)()
            self.done[name] += 1

    async def main(self):
        async with asyncio.TaskGroup() as group:
            for name in self.done:
                group.create_task(self.again_and_again(name))
        self.loop.remove_reader(self.readers[0])
        for sock in self.readers:
            sock.close()


JOBS = ("asyncio_streams", "native_streams", "tls", "accepting", "sendfile", "sockets", "child")


@pytest.mark.zcloop_only
@pytest.mark.seconds(SECONDS * 10 + 60)
@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_exchange_ends_when_finalizers_act_in_any_allocation(
    loop, reported, certificates, seed
):
    before = gc.get_threshold()
    loop.set_debug(seed % 2 == 1)
    loop.slow_callback_duration = 10
    world = World(loop, certificates, seed)
    main = loop.create_task(world.main())
    try:
        main.add_done_callback(lambda _: loop.stop())
        while not main.done():
            loop.run_forever()
    finally:
        gc.set_threshold(*before)
        loop.set_debug(False)
    main.result()
    gc.collect()
    assert gc.isenabled()
    assert reported == []
    assert min(world.done.values()) > 0, world.done
