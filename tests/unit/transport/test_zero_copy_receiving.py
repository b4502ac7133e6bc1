"""ZeroCopyProtocol: what it is lent, what is copied for it, and what that is called."""

import asyncio
import itertools

import pytest
from lending import LeaseRecorder, address_of, is_balanced
from peers import PAIRS, connection, io_passed, payload
from recording import BufferedRecorder, Recorder

pytestmark = [
    pytest.mark.zcloop_only,
    pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS),
]

KIB = 1024
SIZES = [1, 64, 4096, 4097, 16 * KIB, 16 * KIB + 1, 100 * KIB, 1024 * KIB, 5 * 1024 * KIB]


async def send(peer, data):
    await asyncio.get_running_loop().sock_sendall(peer, data)


@pytest.mark.parametrize("copybreak", [0, 4096, 1 << 30])
@pytest.mark.parametrize("size", SIZES)
async def test_bytes_come_complete_and_in_order(pair, size, copybreak):
    data = payload(size)
    factory = lambda: LeaseRecorder(copybreak=copybreak)  # noqa: E731
    async with connection(factory, pair) as (transport, protocol, peer):
        sending = asyncio.ensure_future(send(peer, data))
        assert await protocol.received(size) == data
        await sending
        found = transport.lease_statistics()
        assert found["lent_bytes"] + found["copied_bytes"] == size
        assert (found["starved_bytes"], found["held"], found["leases"]) == (0, 0, 0)
        if copybreak == 0:
            assert found["copied_bytes"] == 0
        if copybreak == 1 << 30 or size <= copybreak:
            assert found["lent_bytes"] == 0


@pytest.mark.parametrize("size", [4095, 4096, 4097, 8192])
async def test_the_copybreak_is_the_largest_size_that_is_copied(pair, size):
    async with connection(lambda: LeaseRecorder(keeps=True), pair) as (transport, protocol, peer):
        peer.send(payload(size))
        assert await protocol.received(size) == payload(size)
        found = transport.lease_statistics()
        assert found["copied_bytes"] == sum(len(v) for v in protocol.views if len(v) <= 4096)
        assert found["lent_bytes"] == size - found["copied_bytes"]
        if len(protocol.views) == 1:
            assert found["leases"] == (size > 4096)
        protocol.release()
        assert transport.lease_statistics()["held"] == 0


async def test_views_that_are_kept_do_not_change_while_more_comes(pair):
    factory = lambda: LeaseRecorder(keeps=True, copybreak=0)  # noqa: E731
    async with connection(factory, pair) as (_, protocol, peer):
        for number in range(60):
            peer.send(payload(5000, number))
            await protocol.received(5000 * (number + 1))
        wanted = b"".join(payload(5000, number) for number in range(60))
        assert b"".join(protocol.views) == wanted
        assert len({address_of(view) for view in protocol.views}) == len(protocol.views)
        statistics = asyncio.get_running_loop().statistics()
        assert is_balanced(statistics, "pool_")
        assert statistics["pool_lease_blocks"] == len(protocol.views)
        protocol.release()


async def test_a_view_may_be_written_in_and_forwarded_at_the_same_address(pair):
    """A proxy copies nothing in user space."""
    async with (
        connection(lambda: LeaseRecorder(keeps=True, copybreak=0), pair) as (one, left, client),
        connection(Recorder, pair) as (out, _, server),
    ):
        client.send(payload(20_000))
        await left.received(20_000)
        pool = asyncio.get_running_loop().leases()
        assert sum(lease["size"] for lease in pool) == 20_000
        for view in left.views:
            before = address_of(view)
            view[0] ^= 0xFF
            out.write(view)
            assert address_of(view) == before
        found = b"".join(left.views)
        left.release()
        received = bytearray()
        while len(received) < 20_000:
            received += await asyncio.get_running_loop().sock_recv(server, 65536)
        assert received == found
        assert one.lease_statistics()["copied_bytes"] == 0


async def test_eof_follows_the_data_and_half_closes(pair):
    async with connection(LeaseRecorder, pair) as (transport, protocol, peer):
        protocol.keep_open = True
        peer.send(b"last")
        peer.shutdown(1)
        await protocol.until(lambda: "eof_received" in protocol.names)
        assert protocol.names == ["connection_made", "buffer_received", "eof_received"]
        transport.write(b"answer")
        assert await asyncio.get_running_loop().sock_recv(peer, 100) == b"answer"
        assert not transport.is_closing()


async def test_eof_closes_unless_asked_otherwise(pair):
    async with connection(LeaseRecorder, pair) as (_, protocol, peer):
        peer.send(payload(100_000)[:50_000])
        peer.close()
        assert await protocol.lost() is None
        assert protocol.data == payload(100_000)[: len(protocol.data)]
        assert protocol.names[-2:] == ["eof_received", "connection_lost"]


@pytest.mark.parametrize("size", [100, 10_000, 2_000_000])
async def test_nothing_is_delivered_between_pause_and_resume(pair, size):
    class PausesEachTime(LeaseRecorder):
        def buffer_received(self, view):
            assert self.transport.is_reading()
            super().buffer_received(view)
            self.transport.pause_reading()

    data = payload(size)
    async with connection(PausesEachTime, pair) as (transport, protocol, peer):
        sending = asyncio.ensure_future(send(peer, data))
        while len(protocol.data) < size:
            before = len(protocol.names)
            transport.resume_reading()
            await protocol.until(lambda before=before: len(protocol.names) > before)
            await io_passed()
            assert len(protocol.names) == before + 1
        await sending
        assert protocol.data == data


@pytest.mark.parametrize("end", ["abort", "close"])
async def test_leases_outlive_their_transport(pair, end):
    factory = lambda: LeaseRecorder(keeps=True, copybreak=0)  # noqa: E731
    async with connection(factory, pair) as (transport, protocol, peer):
        peer.send(payload(5000))
        await protocol.received(5000)
        getattr(transport, end)()
        await protocol.lost()
        assert b"".join(protocol.views) == payload(5000)
        protocol.release()
        assert asyncio.get_running_loop().leases() == []


async def test_an_exception_in_buffer_received_is_reported_and_closes(pair, reported):
    class Fails(LeaseRecorder):
        def buffer_received(self, view):
            self.views.append(view)
            raise LookupError("no")

    async with connection(Fails, pair) as (_, protocol, peer):
        peer.send(payload(5000))
        assert isinstance(await protocol.lost(), LookupError)
        assert bytes(protocol.views[0]) == payload(5000)[: len(protocol.views[0])]
        protocol.release()
    (context,) = reported
    reported.clear()
    assert "buffer_received() call failed" in context["message"]
    assert asyncio.get_running_loop().leases() == []


# ---- one protocol after the other ----------------------------------------------------------------

KINDS = {
    "bytes": Recorder,
    "buffered": lambda: BufferedRecorder(5000),
    "lent": lambda: LeaseRecorder(copybreak=0),
}


@pytest.mark.seconds(60)
@pytest.mark.parametrize("size", [300, 30_000, 3_000_000])
@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("start", KINDS)
@pytest.mark.parametrize("where", ["callback", "outside", "paused"])
async def test_another_protocol_gets_what_the_one_before_did_not(pair, start, to, size, where):
    """The bytes of all, one after the other, are those that were sent."""
    loop = asyncio.get_running_loop()
    data = payload(size)
    made = [KINDS[start](), KINDS[to](), KINDS[start](), KINDS[to]()]
    made[-1].last = True
    async with connection(lambda: made[0], pair) as (transport, _, peer):
        if where == "callback":
            for one, following in itertools.pairwise(made):
                note = one.note

                def switch(*call, note=note, following=following):
                    note(*call)
                    if call[0] in ("data_received", "buffer_updated", "buffer_received"):
                        following.transport = transport
                        transport.set_protocol(following)

                one.note = switch
        sending = asyncio.ensure_future(loop.sock_sendall(peer, data))
        for one, following in itertools.pairwise(made):
            await one.until(lambda one=one: len(one.data))
            if where != "callback":
                if where == "paused":
                    transport.pause_reading()
                    await io_passed()
                transport.set_protocol(following)
                if where == "paused":
                    transport.resume_reading()
            if sum(len(each.data) for each in made) == size:
                break
            if where == "outside":
                await asyncio.sleep(0)
        while (total := sum(len(each.data) for each in made)) < size:
            await io_passed()
        assert total == size
        await sending
        assert b"".join(each.data for each in made) == data
        if "lent" in (start, to):
            found = transport.lease_statistics()
            lent = sum(len(each.data) for each in made if isinstance(each, LeaseRecorder))
            assert found["lent_bytes"] + found["copied_bytes"] >= lent
    assert asyncio.get_running_loop().leases() == []
