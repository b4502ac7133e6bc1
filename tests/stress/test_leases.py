"""Millions of leases, released in many threads at once: memory stays flat, the books exact."""

import asyncio
import contextlib
import gc
import os
import pathlib
import queue
import random
import threading

import pytest
from lending import LeaseRecorder, is_balanced
from peers import connection, payload, unix_pair

import zcloop

pytestmark = pytest.mark.zcloop_only

PAGE = os.sysconf("SC_PAGE_SIZE")
# 10^7 of them: ZCLOOP_LEASES=10000000 pytest tests/stress/test_leases.py, also when sanitized.
LEASES = int(os.environ.get("ZCLOOP_LEASES", "1000000"))


def resident_size():
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * PAGE


@pytest.mark.seconds(60 + LEASES // 10_000)
def test_a_million_reservations():
    source = random.Random(1)
    sizes = [source.choice([1, 1000, 5000, 20_000]) for _ in range(1000)]
    with zcloop.Region(4 << 20) as region:
        held = []
        for number in range(LEASES):
            if number == LEASES // 10:
                before = resident_size()
            held.append(region.reserve(sizes[number % 1000]))
            if len(held) == 50:
                source.shuffle(held)
                for view in held[:40]:
                    view.release()
                del held[:40]
        held.clear()
        gc.collect()
        assert region.free_bytes == region.size
        assert resident_size() - before < 4 << 20


@pytest.mark.seconds(60 + LEASES // 5_000)
async def test_a_million_received_leases():
    class Counts(zcloop.ZeroCopyProtocol):
        count = 0

        def buffer_received(self, view):
            Counts.count += 1
            view.release()

    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        made = [await stack.enter_async_context(connection(Counts, unix_pair)) for _ in range(50)]
        for transport, *_ in made:
            transport.set_lease_limits(copybreak=0)
        sent = before = 0
        while sent < LEASES:
            # A lease for each, since a stream's own messages may come as one.
            for *_, peer in made:
                peer.send(b"x")
            sent += len(made)
            while Counts.count < sent:
                await asyncio.sleep(0)
            if not before and sent >= LEASES // 10:
                before = resident_size()
        found = loop.statistics()
        assert is_balanced(found, "pool_") and found["lent_bytes"] == sent == Counts.count
        assert loop.leases() == []
        assert resident_size() - before < 4 << 20


@pytest.mark.seconds(120)
async def test_a_storm_of_releases_from_threads():
    """Three holders are at their quota; their leases come back from four threads in any order."""
    loop = asyncio.get_running_loop()
    returning = queue.SimpleQueue()

    class HandsOver(LeaseRecorder):
        def buffer_received(self, view):
            self.data += view
            returning.put(view)
            self.note("buffer_received")

    def release():
        source, held = random.Random(2), []
        while (view := returning.get()) is not None:
            held.append(view)
            source.shuffle(held)
            while held and (len(held) > 8 or returning.empty()):
                held.pop().release()
        held.clear()

    threads = [threading.Thread(target=release) for _ in range(4)]
    for thread in threads:
        thread.start()
    size = 8_000_000
    try:
        async with (
            connection(lambda: HandsOver(copybreak=0, quota=200_000), unix_pair) as one,
            connection(lambda: HandsOver(copybreak=0, quota=100), unix_pair) as two,
            connection(lambda: HandsOver(copybreak=0, quota=50_000), unix_pair) as three,
        ):
            made = [one, two, three]
            sending = [
                asyncio.ensure_future(loop.sock_sendall(peer, payload(size, number)))
                for number, (*_, peer) in enumerate(made)
            ]
            for number, (_, protocol, _) in enumerate(made):
                assert await protocol.received(size) == payload(size, number)
            await asyncio.gather(*sending)
            assert all(each.lease_statistics()["pauses"] for each, *_ in made[1:])
            while loop.leases():
                await asyncio.sleep(0.001)
            assert is_balanced(loop.statistics(), "pool_")
            assert [each.lease_statistics()["held"] for each, *_ in made] == [0] * 3
    finally:
        for _ in threads:
            returning.put(None)
        for thread in threads:
            await asyncio.to_thread(thread.join)
