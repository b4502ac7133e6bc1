"""A flood of datagrams gathers for some microseconds before it wakes the loop."""

import asyncio
import contextlib
import socket
import time

import pytest
from peers import script

import zcloop

pytestmark = [pytest.mark.zcloop_only, pytest.mark.seconds(120)]  # of a busy machine

UDP_SEGMENT = 103
SIZE = 4
BURST = 60  # datagrams of one system call
BURSTS = 40  # more than it takes to prove a flood
PATIENCE = 100.0  # seconds
LONG = 200  # microseconds, the most there is


class Sink(asyncio.DatagramProtocol):
    """Counts what comes in the right order, and may answer it."""

    def __init__(self, answered=0):
        self.received = 0
        self.answered = answered  # one of so many

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        assert int.from_bytes(data, "little") == self.received
        self.received += 1
        if self.answered and self.received % self.answered == 0:
            self.transport.sendto(data, addr)


class ZeroCopySink(Sink, zcloop.ZeroCopyDatagramProtocol):
    def datagram_buffer_received(self, view, addr):
        self.datagram_received(bytes(view), addr)
        view.release()


class Flood:
    """A socket that sends many datagrams at once to a sink."""

    def __init__(self, sink, peer):
        self.sink = sink
        self.peer = peer
        self.sent = 0

    async def burst(self):
        numbers = range(self.sent, self.sent + BURST)
        self.peer.send(b"".join(number.to_bytes(SIZE, "little") for number in numbers))
        self.sent += BURST
        while self.sink.received < self.sent:
            await asyncio.sleep(0)

    async def bursts(self, count=BURSTS):
        for _ in range(count):
            await self.burst()

    async def wave(self):
        """As much as a flow has to bring, and then a halt, so that the loop sleeps."""
        await self.bursts()
        await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def flood(make_sink=Sink, room=1 << 22):
    loop = asyncio.get_running_loop()
    transport, sink = await loop.create_datagram_endpoint(make_sink, ("127.0.0.1", 0))
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SIZE)
        peer.connect(transport.get_extra_info("sockname"))
        try:
            yield Flood(sink, peer)
        finally:
            transport.abort()
            await asyncio.sleep(0)


def coalesced():
    return asyncio.get_running_loop().statistics()["coalesced_sleeps"]


async def prove(*sources, halt=lambda: asyncio.sleep(0.002), count=BURSTS):
    """Flood until it has made a sleep longer, and longer each time: on a busy machine a wave may be
    too slow, and a flow that halted early has to bring more."""
    deadline = time.monotonic() + PATIENCE
    before = coalesced()
    while coalesced() == before:
        assert time.monotonic() < deadline
        for _ in range(count):
            for source in sources:
                await source.burst()
        await halt()
        count = min(2 * count, 64 * BURSTS)


@pytest.fixture
def coalescing_loop(loop):
    if not loop.coalesce_us:
        pytest.skip("min_wait_usec has come with Linux 6.12")
    return loop


@pytest.mark.parametrize("make_sink", [Sink, ZeroCopySink, lambda: Sink(answered=32)])
def test_a_flood_gathers(coalescing_loop, make_sink):
    async def main():
        async with flood(make_sink) as source:
            await prove(source)
            await source.wave()
            assert source.sink.received == source.sent

    coalescing_loop.run_until_complete(main())


@pytest.mark.parametrize("answered", [1, 4])
def test_who_may_wait_for_answers_is_not_kept_waiting(coalescing_loop, answered):
    async def main():
        async with flood(lambda: Sink(answered)) as source:
            for _ in range(5):
                await source.wave()
        assert coalesced() == 0

    coalescing_loop.run_until_complete(main())


def test_few_datagrams_do_not_gather(coalescing_loop):
    async def main():
        async with flood() as source:
            for _ in range(BURSTS):
                await source.burst()
                await asyncio.sleep(0.003)
        assert coalesced() == 0

    coalescing_loop.run_until_complete(main())


def test_a_flood_that_halts_is_one_no_more(coalescing_loop):
    async def main():
        async with flood() as source:
            await prove(source)
            before = coalesced()
            for _ in range(10):
                await asyncio.sleep(0.001)
            assert coalesced() <= before + 1
            await source.burst()
            await asyncio.sleep(0.001)
            assert coalesced() <= before + 1

    coalescing_loop.run_until_complete(main())


def test_one_that_halts_again_and_again_has_to_bring_more(coalescing_loop):
    async def main():
        async with flood() as source:
            await prove(source)
            before = coalesced()
            for _ in range(12):
                await source.wave()  # each would do for the first time
            assert coalesced() - before < 12

    coalescing_loop.run_until_complete(main())


def test_zero_is_off(coalescing_loop):
    async def main():
        async with flood() as source:
            for _ in range(5):
                await source.wave()
            assert coalesced() == 0
            asyncio.get_running_loop().coalesce_us = 50
            await prove(source)
            asyncio.get_running_loop().coalesce_us = 0
            before = coalesced()
            for _ in range(5):
                await source.wave()
            assert coalesced() == before

    coalescing_loop.coalesce_us = 0
    coalescing_loop.run_until_complete(main())


def test_a_socket_that_would_run_over_is_read_at_once(coalescing_loop):
    """What comes in the time of a sleep is as much as this one holds, or more."""

    async def main():
        async with flood(room=8 * 1024) as source:
            for _ in range(5 * BURSTS * BURST // 8):
                numbers = range(source.sent, source.sent + 8)
                source.peer.send(b"".join(number.to_bytes(SIZE, "little") for number in numbers))
                source.sent += 8
                while source.sink.received < source.sent:
                    await asyncio.sleep(0)
            await asyncio.sleep(0.002)
        assert coalesced() == 0

    coalescing_loop.run_until_complete(main())


@pytest.mark.parametrize("end", ["close", "pause_reading"])
def test_a_flood_that_is_read_no_more_is_none(coalescing_loop, end):
    async def main():
        async with flood() as source:
            await prove(source, halt=lambda: asyncio.sleep(0.0003))
            await prove(source, halt=lambda: asyncio.sleep(0.0003))
            before = coalesced()
            await source.bursts(256)
            getattr(source.sink.transport, end)()
            async with flood(lambda: Sink(answered=1)) as other:
                for _ in range(200):
                    await other.burst()
                    await asyncio.sleep(0.0003)
            assert coalesced() == before

    coalescing_loop.run_until_complete(main())


def test_a_loop_that_spins_does_not_wait_for_more(coalescing_loop):
    async def main():
        async with flood() as source:
            for _ in range(5):
                await source.wave()
        assert coalesced() == 0

    coalescing_loop.spin_us = 10
    coalescing_loop.run_until_complete(main())


def test_an_earlier_timer_is_not_late(coalescing_loop):
    async def main():
        async with flood() as source:
            for _ in range(5):
                await source.bursts()
                await asyncio.sleep(LONG / 2e6)
        assert coalesced() == 0

    coalescing_loop.coalesce_us = LONG
    coalescing_loop.run_until_complete(main())


def test_a_lone_wake_up_comes_through(coalescing_loop):
    async def main():
        loop = asyncio.get_running_loop()
        async with flood() as source:
            # No timer: nothing else would end the sleep.
            await prove(source, halt=lambda: loop.run_in_executor(None, time.sleep, 0.0005))

    coalescing_loop.coalesce_us = LONG // 2
    coalescing_loop.run_until_complete(main())


def test_two_floods_and_one_that_ends(coalescing_loop):
    async def main():
        async with flood() as lasting:
            async with flood() as ending:
                await prove(lasting, ending)
            await prove(lasting)
            assert lasting.sink.received == lasting.sent

    coalescing_loop.run_until_complete(main())


def test_where_the_kernel_cannot_it_stays_off(monkeypatch):
    monkeypatch.setenv("ZCLOOP_WITHOUT", "minimal_wait")
    said = script("""
        loop = new_event_loop()
        loop.coalesce_us = 100
        print(loop.coalesce_us)
        loop.close()
    """)
    assert said == "0\n"


@pytest.mark.parametrize("microseconds", [-1, LONG + 1, 1 << 40])
def test_how_long_is_bounded(loop, microseconds):
    before = loop.coalesce_us
    with pytest.raises(ValueError, match="coalesce_us is 0 to 200 microseconds"):
        loop.coalesce_us = microseconds
    assert loop.coalesce_us == before


def test_not_a_number_is_refused(loop):
    with pytest.raises(TypeError):
        loop.coalesce_us = "50"
