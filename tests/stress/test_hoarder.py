"""A protocol that never releases stalls only itself: it is paused, and the others' p99 stays."""

import asyncio
import contextlib
import statistics
import threading
import time

import pytest
from peers import payload

import zcloop

pytestmark = pytest.mark.zcloop_only

OTHERS = 99
MESSAGES = 40
SIZE = 8 * 1024
QUOTA = 1 << 20
LIMIT = 8 << 20
ROUNDS = 3


class Echo(zcloop.ZeroCopyProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def buffer_received(self, view):
        self.transport.write(view)
        view.release()


class Hoarder(zcloop.ZeroCopyProtocol):
    kept: list[memoryview] = []

    def connection_made(self, transport):
        transport.set_lease_limits(quota=QUOTA)

    def buffer_received(self, view):
        self.kept.append(view)


@contextlib.contextmanager
def served():
    """Yield the addresses of an echo and of a hoarder, on a loop in a thread, and that loop."""
    ready = threading.Event()
    found = {}

    async def serve():
        loop = found["loop"] = asyncio.get_running_loop()
        loop.set_lease_pool_limit(LIMIT)
        found["stop"] = asyncio.Event()
        async with (
            await loop.create_server(Echo, "127.0.0.1", 0) as echo,
            await loop.create_server(Hoarder, "127.0.0.1", 0) as hoarder,
        ):
            found["echo"] = echo.sockets[0].getsockname()
            found["hoarder"] = hoarder.sockets[0].getsockname()
            ready.set()
            await found["stop"].wait()

    thread = threading.Thread(target=zcloop.run, args=(serve(),))
    thread.start()
    ready.wait(10)
    try:
        yield found
    finally:
        found["loop"].call_soon_threadsafe(found["stop"].set)
        thread.join()


async def p99(address):
    """Measure the round trips of all the others in seconds, and check every byte."""
    took = []

    async def talk(seed):
        data = payload(SIZE, seed)
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(MESSAGES):
            start = time.perf_counter()
            writer.write(data)
            assert await reader.readexactly(SIZE) == data
            took.append(time.perf_counter() - start)
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(talk(seed) for seed in range(OTHERS)))
    return statistics.quantiles(took, n=100)[98]


async def hoard(address, loop):
    """Send until nothing more is taken: the hoarder is paused, and its socket is full."""
    _, writer = await asyncio.open_connection(*address)
    writer.write(bytes(64 << 20))
    deadline = time.monotonic() + 10
    while loop.statistics()["paused_holders"] == 0:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    return writer


def test_the_others_do_not_notice_a_hoarder():
    async def main(found):
        loop = found["loop"]
        ratios = []
        for _ in range(ROUNDS):
            without = await p99(found["echo"])
            writer = await hoard(found["hoarder"], loop)
            books = loop.statistics()
            assert books["paused_holders"] == 1
            # Blocks of a power of two: what is in them may be half of what is charged.
            assert QUOTA // 2 < sum(lease["size"] for lease in loop.leases()) < 2 * QUOTA
            ratios.append(await p99(found["echo"]) / without)
            assert loop.statistics()["starved_bytes"] <= 1 << 20
            writer.transport.abort()
            # First what its socket still holds is delivered, then the reset is seen.
            deadline = time.monotonic() + 10
            # The last bytes may come after the last look at what is kept.
            while loop.statistics()["transports"] or Hoarder.kept:
                assert time.monotonic() < deadline
                while Hoarder.kept:
                    Hoarder.kept.pop().release()
                await asyncio.sleep(0.01)
            assert loop.statistics()["paused_holders"] == 0
            assert loop.leases() == []
        print("p99 with a hoarder / without:", ratios)
        assert statistics.median(ratios) < 2

    try:
        with served() as found:
            asyncio.run(main(found))
    finally:
        Hoarder.kept.clear()
