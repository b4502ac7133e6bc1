"""A flood of datagrams gathers for some microseconds before it wakes the loop."""

import asyncio
import contextlib
import socket
import time

import pytest

import zcloop

pytestmark = pytest.mark.zcloop_only

UDP_SEGMENT = 103
SIZE = 4
BURST = 60  # datagrams of one system call
BURSTS = 40  # more than it takes to prove a flood
PATIENCE = 20.0  # seconds
LONG = 1000  # microseconds, the most there is


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

    async def wave(self):
        """As much as a flow has to bring, and then a halt, so that the loop sleeps."""
        for _ in range(BURSTS):
            await self.burst()
        await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def flood(make_sink=Sink):
    loop = asyncio.get_running_loop()
    transport, sink = await loop.create_datagram_endpoint(make_sink, ("127.0.0.1", 0))
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


async def prove(source):
    """Flood until it has made a sleep longer: on a busy machine a wave may be too slow."""
    deadline = time.monotonic() + PATIENCE
    while not coalesced():
        assert time.monotonic() < deadline
        await source.wave()


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
                for _ in range(BURSTS):
                    await source.burst()
                await asyncio.sleep(0.0005)
        assert coalesced() == 0

    coalescing_loop.coalesce_us = LONG
    coalescing_loop.run_until_complete(main())


def test_a_lone_wake_up_comes_through(coalescing_loop):
    async def main():
        loop = asyncio.get_running_loop()
        async with flood() as source:
            deadline = time.monotonic() + PATIENCE
            while not coalesced():
                assert time.monotonic() < deadline
                for _ in range(BURSTS):
                    await source.burst()
                called = loop.run_in_executor(None, time.sleep, 0.0005)
                await asyncio.wait_for(called, 5)

    coalescing_loop.coalesce_us = LONG
    coalescing_loop.run_until_complete(main())


def test_two_floods_and_one_that_ends(coalescing_loop):
    async def main():
        async with flood() as lasting:
            async with flood() as ending:
                deadline = time.monotonic() + PATIENCE
                while not coalesced():
                    assert time.monotonic() < deadline
                    for _ in range(BURSTS):
                        await lasting.burst()
                        await ending.burst()
                    await asyncio.sleep(0.002)
            before = coalesced()
            bursts = BURSTS
            while coalesced() == before:
                assert time.monotonic() < deadline
                bursts *= 2  # it has halted before
                for _ in range(bursts):
                    await lasting.burst()
                await asyncio.sleep(0.002)
            assert lasting.sink.received == lasting.sent

    coalescing_loop.run_until_complete(main())


@pytest.mark.parametrize("microseconds", [-1, LONG + 1, 1 << 40])
def test_how_long_is_bounded(loop, microseconds):
    before = loop.coalesce_us
    with pytest.raises(ValueError, match="coalesce_us is 0 to 1000 microseconds"):
        loop.coalesce_us = microseconds
    assert loop.coalesce_us == before


def test_not_a_number_is_refused(loop):
    with pytest.raises(TypeError):
        loop.coalesce_us = "50"
