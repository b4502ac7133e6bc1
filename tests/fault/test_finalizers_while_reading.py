"""The collector runs in one allocation after another while a transport reads, and a finalizer acts.

Up to Python 3.11 it may run in any allocation, of native code too; from 3.12 on between bytecodes.
"""

import asyncio
import gc

import pytest
from collecting import (
    ALLOCATIONS,
    Final,
    collect_after,
    inflight,
    nothing_collected,
    on_its_own,
    slept,
)
from lending import LeaseRecorder
from peers import PAIRS, io_passed, payload, unix_pair
from recording import DatagramRecorder, Recorder

SECONDS = 90


class Acts(Recorder):
    """Leaves garbage when it is connected, which `act` of the transport is the end of."""

    def __init__(self, act, allocations):
        super().__init__()
        self.act = act
        self.allocations = allocations

    def connection_made(self, transport):
        super().connection_made(transport)
        Final(lambda: self.act(transport))
        collect_after(self.allocations)


@pytest.mark.parametrize("pair", PAIRS)
async def test_a_finalizer_that_closes_while_reading_begins(pair):
    loop = asyncio.get_running_loop()
    await io_passed()
    before = inflight()
    for allocations in ALLOCATIONS:
        with PAIRS[pair]() as (ours, peer), nothing_collected():
            _, protocol = await loop.create_connection(
                lambda allocations=allocations: Acts(lambda it: it.close(), allocations),
                sock=ours,
            )
            gc.collect()
            await protocol.lost()
            await io_passed()
            assert inflight() == before, allocations
            assert peer.recv(1) == b""


class ActsOnDatagrams(DatagramRecorder):
    def __init__(self, act, allocations):
        super().__init__()
        self.act = act
        self.allocations = allocations

    def connection_made(self, transport):
        super().connection_made(transport)
        Final(lambda: self.act(transport))
        collect_after(self.allocations)


async def test_a_finalizer_that_closes_while_the_receiving_of_datagrams_begins():
    loop = asyncio.get_running_loop()
    await io_passed()
    before = inflight()
    for allocations in ALLOCATIONS:
        with nothing_collected():
            transport, protocol = await loop.create_datagram_endpoint(
                lambda allocations=allocations: ActsOnDatagrams(lambda it: it.close(), allocations),
                local_addr=("127.0.0.1", 0),
            )
            gc.collect()
            await protocol.lost()
            await io_passed()
            assert inflight() == before, allocations
            assert transport.get_extra_info("socket").fileno() == -1


def pause_and_resume(transport):
    transport.pause_reading()
    transport.resume_reading()


async def test_a_finalizer_that_pauses_and_resumes_while_reading_begins():
    """One request receives, and no other."""
    loop = asyncio.get_running_loop()
    await io_passed()
    before = inflight()
    for allocations in ALLOCATIONS:
        with unix_pair() as (ours, peer), nothing_collected():
            transport, protocol = await loop.create_connection(
                lambda allocations=allocations: Acts(pause_and_resume, allocations), sock=ours
            )
            gc.collect()
            await io_passed()
            assert inflight() == before + 1, allocations
            await loop.sock_sendall(peer, payload(300_000))
            assert await protocol.received(300_000) == payload(300_000)
            transport.abort()
            await protocol.lost()
            await io_passed()
            assert (loop.statistics()["slots_lent"], inflight()) == (0, before)
            assert peer.recv(1) == b""


async def exchange_the_protocol_of_a_view(allocations):
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, peer), nothing_collected():
        transport, lent = await loop.create_connection(
            lambda: LeaseRecorder(copybreak=0), sock=ours
        )
        plain = Recorder()
        plain.transport = transport
        await io_passed()

        def begin():
            peer.send(payload(8000))
            Final(lambda: transport.set_protocol(plain))
            collect_after(allocations)

        loop.call_soon(begin)
        await slept()
        await io_passed()
        assert lent.data + plain.data == payload(8000)
        gc.collect()
        transport.abort()
        await plain.lost()


@pytest.mark.zcloop_only
@pytest.mark.seconds(SECONDS)
def test_a_finalizer_that_exchanges_the_protocol_while_a_view_is_made():
    on_its_own(__file__, "exchange_the_protocol_of_a_view", SECONDS)
