"""Quotas, the pool's limit and associated regions: who runs out is told or paused, alone."""

import asyncio
import contextlib
import gc
import socket
import threading

import pytest
from lending import LeaseRecorder, is_balanced
from peers import connection, io_passed, payload, unix_pair
from recording import Recorder

import zcloop

pytestmark = pytest.mark.zcloop_only

KIB = 1024
QUOTA = 100 * KIB


def hoarder(**limits):
    return LeaseRecorder(keeps=True, **{"copybreak": 0, "quota": QUOTA, **limits})


async def send_until_paused(transport, peer, total):
    """Send pieces; returns how many bytes went into the socket until the holder was paused."""
    loop = asyncio.get_running_loop()
    sent = 0
    while loop.statistics()["paused_holders"] == 0:
        assert sent < total, "never paused"
        with contextlib.suppress(BlockingIOError):
            sent += peer.send(payload(total)[sent : sent + 8000])
        await asyncio.sleep(0)
    return sent


@pytest.mark.parametrize("how", ["release", "thread", "collector", "quota"])
async def test_a_holder_over_its_quota_waits_until_enough_has_come_back(how):
    async with connection(hoarder, unix_pair) as (transport, protocol, peer):
        sent = await send_until_paused(transport, peer, 1_000_000)
        peer.send(b"x")
        got = len(protocol.data)
        for _ in range(5):
            await io_passed()
        assert len(protocol.data) == got <= sent, "it was paused"
        found = transport.lease_statistics()
        assert found["held"] > QUOTA and found["pauses"] == 1
        if how == "release":
            protocol.release()
        elif how == "thread":
            await asyncio.to_thread(protocol.release)
        elif how == "quota":
            transport.set_lease_limits(quota=10 * QUOTA)
        else:
            holder = [protocol.views]
            holder.append(holder)
            protocol.views = []
            del holder
            gc.collect()
        assert await protocol.received(sent + 1) == payload(1_000_000)[:sent] + b"x"
        protocol.release()
    assert asyncio.get_running_loop().leases() == []


async def test_a_holder_that_is_paused_does_not_slow_others_down():
    async with (
        connection(hoarder, unix_pair) as (one, protocol, peer),
        connection(LeaseRecorder, unix_pair) as (_, other, other_peer),
        connection(Recorder, unix_pair) as (_, plain, plain_peer),
    ):
        await send_until_paused(one, peer, 1_000_000)
        for number in range(50):
            other_peer.send(payload(5000, number))
            plain_peer.send(payload(5000, number))
            await other.received(5000 * (number + 1))
            await plain.received(5000 * (number + 1))
        assert other.data == plain.data
        assert asyncio.get_running_loop().statistics()["paused_holders"] == 1
        protocol.release()


async def test_a_protocol_of_bytes_that_follows_a_holder_is_not_paused():
    async with connection(hoarder, unix_pair) as (transport, protocol, peer):
        sent = await send_until_paused(transport, peer, 1_000_000)
        following = Recorder()
        transport.set_protocol(following)
        peer.send(b"x")
        await following.until(lambda: following.data.endswith(b"x"))
        assert protocol.data + following.data == payload(1_000_000)[:sent] + b"x"
        protocol.release()


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("end", ["with its loop", "before its loop"])
def test_a_waiting_holder_is_kept_as_long_as_its_loop(end):
    """Its leases come back while the transport, and perhaps its loop, are taken apart."""

    class PausesAtOnce(LeaseRecorder):
        def buffer_received(self, view):
            super().buffer_received(view)
            self.transport.pause_reading()

    async def main():
        loop = asyncio.get_running_loop()
        ours, peer = socket.socketpair()
        with peer:
            transport, protocol = await loop.create_connection(
                lambda: PausesAtOnce(keeps=True, copybreak=0, quota=QUOTA), sock=ours
            )
            for number in range(6):
                peer.send(payload(12_000))
                await io_passed()
                if number == 2:
                    transport.set_lease_limits(quota=1)
                    transport.resume_reading()
            assert loop.statistics()["paused_holders"] == 1
            del ours, transport, protocol
            if end == "before its loop":
                # It would be read from again; that it is not now is nothing its program knows of.
                await io_passed()
                gc.collect()
                assert loop.statistics()["paused_holders"] == 1

    zcloop.run(main())
    gc.collect()


@pytest.mark.parametrize("size", [10_000, 300_000])
async def test_at_the_pools_limit_everybody_gets_copies_and_nothing_is_lost(size):
    loop = asyncio.get_running_loop()
    factory = lambda: LeaseRecorder(keeps=True, copybreak=0, quota=1 << 30)  # noqa: E731
    async with contextlib.AsyncExitStack() as stack:
        made = [await stack.enter_async_context(connection(factory, unix_pair)) for _ in range(10)]
        loop.set_lease_pool_limit(1536 * KIB)
        for round_ in range(6):
            sending = [
                asyncio.ensure_future(loop.sock_sendall(peer, payload(size, round_)))
                for *_, peer in made
            ]
            for _, protocol, _ in made:
                received = await protocol.received((round_ + 1) * size)
                assert received[-size:] == payload(size, round_)
                assert b"".join(protocol.views) == protocol.data
            await asyncio.gather(*sending)
        found = loop.statistics()
        assert is_balanced(found, "pool_") and found["pool_size"] <= 1536 * KIB
        if 60 * size > 1536 * KIB:
            assert found["starved_bytes"] > 0 and found["pool_refusals"] > 0
        assert found["lent_bytes"] + found["copied_bytes"] == 60 * size
        assert found["copied_bytes"] == found["starved_bytes"]
        for _, protocol, _ in made:
            protocol.release()
        assert loop.statistics()["pool_lease"] == 0


async def test_a_pool_that_has_no_room_for_slots_harms_nobody_else():
    loop = asyncio.get_running_loop()
    loop.set_lease_pool_limit(1)
    async with (
        connection(lambda: LeaseRecorder(copybreak=0), unix_pair) as (one, protocol, peer),
        connection(Recorder, unix_pair) as (_, plain, plain_peer),
    ):
        for number in range(40):
            peer.send(payload(1000, number))
            plain_peer.send(payload(1000, number))
            await protocol.received(1000 * (number + 1))
            await plain.received(1000 * (number + 1))
        assert protocol.data == plain.data
        assert one.lease_statistics()["starved_bytes"] == 40_000
        assert loop.channel.has_multishot_receive
        with pytest.raises(zcloop.RegionExhaustedError):
            one.reserve(1)
        loop.set_lease_pool_limit(64 << 20)
        for number in range(40):
            peer.send(payload(1000, number))
            await protocol.received(1000 * (number + 41))
        assert one.lease_statistics()["lent_bytes"] >= 20_000


@pytest.mark.parametrize("limit", ["copybreak", "quota"])
async def test_limits_are_numbers_of_bytes(limit):
    async with connection(Recorder, unix_pair) as (transport, _, _):
        with pytest.raises(ValueError, match="not below 0"):
            transport.set_lease_limits(**{limit: -1})
        with pytest.raises(TypeError):
            transport.set_lease_limits(**{limit: "many"})


# ---- regions -------------------------------------------------------------------------------------


async def settle(protocol, peer, size, seed=0):
    before = len(protocol.data)
    sending = asyncio.ensure_future(
        asyncio.get_running_loop().sock_sendall(peer, payload(size, seed))
    )
    received = await protocol.received(before + size)
    await sending
    assert received[before:] == payload(size, seed)


@pytest.mark.parametrize("size", [16 * KIB, 64 * KIB, 128 * KIB, 1024 * KIB])
async def test_an_associated_region_lends_whatever_its_size(size):
    with zcloop.Region(size, pinned=False) as region:
        async with connection(lambda: LeaseRecorder(copybreak=0), unix_pair) as (one, other, peer):
            await settle(other, peer, 5000)
            one.associate(region)
            one.associate(region)
            await io_passed()
            before = one.lease_statistics()
            for number in range(40):
                await settle(other, peer, 20_000, number)
            after = one.lease_statistics()
            assert after["lent_bytes"] - before["lent_bytes"] == 40 * 20_000
            assert after["starved_bytes"] == 0 < region.used_max
            with one.reserve(1000):
                assert [lease["owner"] for lease in region.leases()] == ["LeaseRecorder"]
            one.disassociate(region)
            with pytest.raises(ValueError, match="not associated"):
                one.disassociate(region)
            used = region.used_max
            region.close()
            await settle(other, peer, 100_000)
            assert region.used_max == used


async def test_several_regions_are_used_in_order_until_all_are_exhausted():
    with zcloop.Region(64 * KIB) as first, zcloop.Region(64 * KIB) as second:
        async with connection(
            lambda: LeaseRecorder(keeps=True, copybreak=0), unix_pair
        ) as (one, protocol, peer):  # fmt: skip
            one.associate(first)
            one.associate(second)
            await io_passed()
            for number in range(8):
                await settle(protocol, peer, 16_000, number)
            assert first.free_bytes + second.free_bytes <= 32 * KIB
            for number in range(8):
                await settle(protocol, peer, 16_000, number)
            assert one.lease_statistics()["starved_bytes"] > 0
            assert b"".join(protocol.views) == protocol.data
            with pytest.raises(BufferError, match="LeaseRecorder"):
                first.close()
            with pytest.raises(zcloop.RegionExhaustedError):
                one.reserve(64 * KIB)
            protocol.release()
            assert first.free_bytes == second.free_bytes == 64 * KIB
            with one.reserve(64 * KIB):
                assert first.free_bytes == 0


async def test_a_closed_region_is_refused_and_one_closed_later_costs_copies():
    with zcloop.Region(64 * KIB) as region:
        async with connection(LeaseRecorder, unix_pair) as (one, protocol, peer):
            one.associate(region)
            region.close()
            await settle(protocol, peer, 20_000)
            assert one.lease_statistics()["starved_bytes"] > 0
            with pytest.raises(ValueError, match="the region is closed"):
                one.reserve(1)
            one.disassociate(region)
            with pytest.raises(ValueError, match="the region is closed"):
                one.associate(region)
            for wrong in (None, 1, memoryview(b"")):
                with pytest.raises(TypeError):
                    one.associate(wrong)
            await settle(protocol, peer, 20_000)


async def test_a_region_may_serve_several_loops():
    with zcloop.Region(1024 * KIB) as region:

        async def main():
            async with connection(lambda: LeaseRecorder(copybreak=0), unix_pair) as (
                one, protocol, peer,
            ):  # fmt: skip
                one.associate(region)
                for number in range(50):
                    await settle(protocol, peer, 30_000, number)

        threads = [threading.Thread(target=zcloop.run, args=(main(),)) for _ in range(3)]
        for thread in threads:
            thread.start()
        await main()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert region.free_bytes == region.size
