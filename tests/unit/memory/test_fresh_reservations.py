"""A reservation shows nobody else's bytes, and a lease ends where what came ends."""

import asyncio
import contextlib
import gc
import socket

import pytest
from datagrams import endpoint
from lending import LeaseRecorder
from peers import connection, tcp_pair, unix_pair
from recording import DatagramRecorder

import zcloop

pytestmark = pytest.mark.zcloop_only

KIB = 1024
SECRET = b"secret! " * (KIB // 8)


def is_clean(view):
    return not any(bytes(view))


def everything(reserve, size):
    """One reservation of `size` bytes after the other, until there is no more."""
    views = []
    with contextlib.suppress(zcloop.RegionExhaustedError):
        while True:
            views.append(reserve(size))
    return views


def all_clean(reserve):
    """Whether whatever can be reserved is zeroed, in blocks of several sizes."""
    found = []
    for size in (64 * KIB, 16 * KIB, 1000):
        views = everything(reserve, size)
        assert views
        found += map(is_clean, views)
        for view in views:
            view.release()
    return all(found)


def dirty(region):
    """A region in which every byte was written, and all of which has come back."""
    for view in everything(region.reserve, KIB):
        view[:] = SECRET
        view.release()
    assert region.free_bytes == region.size
    return region


@pytest.mark.parametrize("size", [1, KIB - 1, KIB, 100 * KIB, 3 << 20])
def test_a_reservation_of_a_region_is_zeroed(size):
    with dirty(zcloop.Region(4 << 20)) as region, region.reserve(size) as view:
        assert view.nbytes == size and is_clean(view)


def test_a_reservation_is_not_zeroed_if_that_is_asked_for():
    with dirty(zcloop.Region(64 * KIB)) as region:
        with region.reserve(KIB, zeroed=False) as view:
            assert view == SECRET
        ours, peer = socket.socketpair()
        with peer, zcloop.ZeroCopySocket(ours, region) as sock:
            with sock.reserve(KIB, zeroed=False) as view:
                assert view == SECRET
            with sock.reserve(KIB) as view:
                assert is_clean(view)


def test_what_was_reserved_and_never_used_is_zeroed_as_well():
    with dirty(zcloop.Region(64 * KIB)) as region:
        region.reserve(KIB)
        cycle = [region.reserve(KIB)]
        cycle.append(cycle)
        del cycle
        gc.collect()
        assert all_clean(region.reserve)


def test_a_region_that_took_the_place_of_a_closed_one_is_zeroed():
    dirty(zcloop.Region(64 * KIB)).close()
    with zcloop.Region(64 * KIB) as region:
        assert all_clean(region.reserve)


async def pool_of_secrets(receive):
    """A transport of a loop into whose pool `receive` has brought secrets, all of it released."""
    asyncio.get_running_loop().set_lease_pool_limit(4 << 20)
    await receive()
    gc.collect()
    return await connection_without_data()


async def connection_without_data():
    stack = contextlib.AsyncExitStack()
    transport, _, _ = await stack.enter_async_context(connection(LeaseRecorder))
    return stack, transport


async def by_slots():
    """Messages that a slot holds: each block is exchanged, cut, and given back."""
    async with connection(lambda: LeaseRecorder(copybreak=0), unix_pair) as (_, protocol, peer):
        for number in range(100):
            peer.send(5 * SECRET)
            await protocol.received((number + 1) * 5 * KIB)
        assert protocol.transport.lease_statistics()["lent_bytes"] == 500 * KIB


async def in_bulk():
    """More than a slot holds, into large blocks; kept for a while, and aborted in the middle."""
    loop = asyncio.get_running_loop()
    async with connection(lambda: LeaseRecorder(keeps=True), tcp_pair) as (_, protocol, peer):
        await loop.sock_sendall(peer, 600 * SECRET)
        await protocol.received(600 * KIB)
        protocol.release()
        peer.send(SECRET)


async def without_memory():
    """Over its quota a transport gets copies."""
    loop = asyncio.get_running_loop()
    factory = lambda: LeaseRecorder(keeps=True, copybreak=0, quota=KIB)  # noqa: E731
    async with connection(factory, unix_pair) as (_, protocol, peer):
        for _ in range(8):
            peer.send(5 * SECRET)
        await protocol.received(5 * KIB)
        protocol.release()
        await loop.sock_sendall(peer, SECRET)


async def as_datagrams(**policy):
    async with endpoint(LentDatagrams, local_addr=("127.0.0.1", 0)) as (transport, protocol):
        transport.set_lease_limits(copybreak=0)
        if policy:
            transport.set_receive_policy(**policy)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for number in range(20):
                sock.sendto(20 * SECRET, transport.get_extra_info("sockname"))
                await protocol.received(number + 1)


async def as_newest_datagrams():
    await as_datagrams(policy="latest", depth=3)


class LentDatagrams(DatagramRecorder, zcloop.ZeroCopyDatagramProtocol):
    def datagram_buffer_received(self, view, addr):
        self.datagram_received(bytes(view), addr)
        view.release()


async def reserved():
    async with connection(LeaseRecorder) as (transport, _, _):
        for view in everything(transport.reserve, 16 * KIB):
            view[:] = 16 * SECRET
            view.release()


@pytest.mark.parametrize(
    "receive",
    [by_slots, in_bulk, without_memory, as_datagrams, as_newest_datagrams, reserved],
    ids=lambda receive: receive.__name__,
)
async def test_what_others_received_is_in_no_reservation(receive):
    stack, transport = await pool_of_secrets(receive)
    async with stack:
        assert all_clean(transport.reserve)


# ---- what a lease shows --------------------------------------------------------------------------


def reaches(view):
    """All that any object made from the view, or what stands behind it, shows of memory."""
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    array = numpy.frombuffer(view, numpy.uint8)
    base = array.base
    shown = [memoryview(view.obj), view.cast("B"), view[:], view.toreadonly(), memoryview(base)]
    with contextlib.suppress(TypeError):
        shown.append(memoryview(base.obj))
    return [each.tobytes() for each in shown]


class Reaching(LeaseRecorder):
    def __init__(self):
        super().__init__(copybreak=100, quota=64 * KIB)
        self.shown = []

    def buffer_received(self, view):
        self.shown.append((bytes(view), reaches(view)))
        super().buffer_received(view)


@pytest.mark.parametrize("size", [10, 1025, 5000, 20_000, 300_000])
@pytest.mark.parametrize("where", ["pool", "region"])
async def test_a_lease_ends_where_what_came_ends(size, where):
    """Whatever is asked for its memory: the view's object, casts, slices, arrays and their base."""
    stack, transport = await pool_of_secrets(in_bulk)
    with dirty(zcloop.Region(1 << 20)) as region:
        async with stack, connection(Reaching, unix_pair) as (transport, protocol, peer):
            if where == "region":
                transport.associate(region)
            await asyncio.get_running_loop().sock_sendall(peer, bytes(size))
            assert await protocol.received(size) == bytes(size)
        for came, shown in protocol.shown:
            assert all(each == came for each in shown)
        gc.collect()
