"""A thousand connections aborted while data flows both ways."""

import asyncio
import contextlib
import random
import socket

import pytest
from peers import payload
from recording import Recorder

PIECE = payload(30_000)


class Chatters(Recorder):
    """Writes whenever it may, for ever."""

    def connection_made(self, transport):
        super().connection_made(transport)
        self.is_full = False
        self.chat()

    def chat(self):
        if not self.transport.is_closing() and not self.is_full:
            self.transport.write(PIECE)

    def data_received(self, data):
        self.data[:] = data
        self.chat()

    def pause_writing(self):
        self.is_full = True

    def resume_writing(self):
        self.is_full = False
        self.chat()

    def note(self, *call):
        if call[0] in ("connection_made", "connection_lost"):
            super().note(*call)


@pytest.mark.parametrize("seed", range(2))
async def test_each_is_lost_once_and_everything_comes_home(seed):
    loop = asyncio.get_running_loop()
    source = random.Random(seed)
    protocols = []
    for _ in range(500):
        for sock in socket.socketpair():
            _, protocol = await loop.create_connection(Chatters, sock=sock)
            protocols.append(protocol)
    source.shuffle(protocols)
    for number, protocol in enumerate(protocols):
        if number % 17 == 0:
            await asyncio.sleep(0)
        (protocol.transport.abort if source.random() < 0.7 else protocol.transport.close)()
    # What closes waits for its peer, which may be one that closes and reads no more.
    for protocol in protocols:
        protocol.transport.abort()
        await protocol.lost()
        assert protocol.names == ["connection_made", "connection_lost"]


async def test_aborting_from_within_every_callback_is_safe():
    loop = asyncio.get_running_loop()

    class Aborts(Recorder):
        where = ""

        def note(self, *call):
            super().note(*call)
            if call[0] == self.where:
                self.transport.abort()

    for where in ("connection_made", "data_received", "eof_received", "pause_writing",
                  "resume_writing", "connection_lost"):  # fmt: skip
        ours, peer = socket.socketpair()
        with peer:
            peer.setblocking(False)

            def factory(where=where):
                protocol = Aborts()
                protocol.where = where
                return protocol

            transport, protocol = await loop.create_connection(factory, sock=ours)
            transport.set_write_buffer_limits(high=0)
            with contextlib.suppress(BrokenPipeError):
                peer.send(b"x")
            transport.write(bytes(5_000_000))
            await asyncio.sleep(0.001)
            while not protocol.is_lost:
                try:
                    if not peer.recv(1 << 20):
                        break
                except BlockingIOError:
                    if "resume_writing" in protocol.names:
                        break
                await asyncio.sleep(0)
            with contextlib.suppress(OSError):  # it is closed already, but for two of the cases
                peer.shutdown(socket.SHUT_WR)
            await protocol.lost()
            assert protocol.names.count("connection_lost") == 1
            assert protocol.names[-1] == "connection_lost"
