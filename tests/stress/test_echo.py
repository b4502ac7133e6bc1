"""Echo under random pausing, resuming, closing and aborting, verified by checksum; seeded."""

import asyncio
import hashlib
import random

import pytest
from peers import payload
from recording import Recorder

CLIENTS = 60


class Disturbed(Recorder):
    """Echoes, and pauses and resumes itself and its peer at random."""

    source = random.Random()

    def data_received(self, data):
        assert self.transport.is_reading()
        self.transport.write(data if self.source.random() < 0.7 else bytearray(data))
        if self.source.random() < 0.2:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(
                self.source.random() / 500, self.transport.resume_reading
            )

    def pause_writing(self):
        self.is_full = True
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()

    def note(self, *call):
        if call[0] == "connection_lost":
            super().note(*call)


async def exchange(address, source, total):
    """Send `total` random bytes in random pieces; return digests of the echo and of what went."""
    reader, writer = await asyncio.open_connection(*address)
    went, came = hashlib.sha256(), hashlib.sha256()

    async def send():
        left = total
        while left:
            piece = payload(min(left, source.choice([1, 50, 1000, 5000, 60_000])), left)
            went.update(piece)
            writer.write(piece)
            left -= len(piece)
            if source.random() < 0.3:
                await writer.drain()
            if source.random() < 0.1:
                await asyncio.sleep(source.random() / 1000)
        writer.write_eof()

    async def receive():
        while data := await reader.read(source.choice([1, 100, 10_000, 1 << 20])):
            came.update(data)

    await asyncio.gather(send(), receive())
    writer.close()
    await writer.wait_closed()
    return went.digest() == came.digest()


async def vanish(address, source):
    """A client that goes away in the middle of its work."""
    _, writer = await asyncio.open_connection(*address)
    writer.write(payload(source.randrange(1, 200_000)))
    for _ in range(source.randrange(10)):
        await asyncio.sleep(0)
    (writer.close if source.random() < 0.3 else writer.transport.abort)()
    # Nobody reads what is echoed: a close alone would wait for ever.
    writer.transport.abort()


@pytest.mark.seconds(60)
@pytest.mark.parametrize("seed", range(20))
async def test_every_byte_comes_back_in_its_place(seed):
    loop = asyncio.get_running_loop()
    source = Disturbed.source = random.Random(seed)
    protocols = []

    def factory():
        protocols.append(Disturbed())
        return protocols[-1]

    async with await loop.create_server(factory, "127.0.0.1", 0, backlog=500) as server:
        address = server.sockets[0].getsockname()
        jobs = [exchange(address, source, source.randrange(1, 800_000)) for _ in range(CLIENTS)]
        jobs += [vanish(address, source) for _ in range(CLIENTS)]
        source.shuffle(jobs)
        results = await asyncio.gather(*jobs)
        assert sorted(map(str, results)) == ["None"] * CLIENTS + ["True"] * CLIENTS
        for protocol in protocols:
            protocol.transport.abort()
            await protocol.lost()
