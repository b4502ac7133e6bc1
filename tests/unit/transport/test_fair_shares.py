"""Many connections at once: none waits for longer than the others' share of a turn takes."""

import asyncio
import contextlib
import socket

import pytest
from peers import connection, io_passed, payload, unix_pair
from recording import Recorder

import zcloop

pytestmark = pytest.mark.zcloop_only  # counts its turns


def turns():
    return asyncio.get_running_loop().statistics()["turns"]


class Noting(Recorder):
    """Which connections were read from, in order, and in which turn each had all of it."""

    order: list[str]
    name = ""

    def data_received(self, data):
        self.order.append(self.name)
        self.turn = turns()
        super().data_received(data)


class LeaseNoting(Noting, zcloop.ZeroCopyProtocol):
    def buffer_received(self, view):
        with view:
            self.data_received(bytes(view))


@pytest.mark.parametrize(("make", "slots"), [(Noting, 128), (LeaseNoting, 32)])
async def test_more_than_the_slots_hold_comes_in_one_turn(make, slots, backend):
    """Slots of 16 KiB are out before a third of it is in: the others do not wait for them, for the
    window of a peer that waits is closed, which TCP finds out by timers. Over epoll they wait for
    the turn in which the slots are back, which follows at once."""
    turns_max = {"uring": 2, "epoll": 2 + 400 // slots}[backend]
    data = payload(60_000)
    async with contextlib.AsyncExitStack() as stack:
        made = [await stack.enter_async_context(connection(make, unix_pair)) for _ in range(100)]
        for transport, protocol, _ in made:
            protocol.order = []
            transport.pause_reading()
        await io_passed()
        for _, _, peer in made:
            assert peer.send(data) == len(data)
        for transport, _, _ in made:
            transport.resume_reading()
        started = turns()
        for _, protocol, _ in made:
            assert await protocol.received(len(data)) == data
        assert max(protocol.turn for _, protocol, _ in made) <= started + turns_max


@pytest.mark.parametrize("before", range(4))
async def test_who_has_much_is_read_once_before_the_others(before):
    """Also when no second read was in vain: after one that was, three are left out."""
    async with connection(Noting) as one, connection(Noting) as other:
        order = []
        for name, (_, protocol, peer) in zip("ab", (one, other), strict=True):
            protocol.name, protocol.order = name, order
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                peer.setsockopt(socket.SOL_SOCKET, option, 4 << 20)
                protocol.transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, option, 4 << 20
                )
            await asyncio.get_running_loop().sock_sendall(peer, bytes(1_000_000))
            await protocol.received(1_000_000)  # it is read in bulk from now on
            for number in range(1, before + 1):
                peer.send(bytes(40_000))
                await protocol.received(1_000_000 + number * 40_000)
        for transport, _, _ in (one, other):
            transport.pause_reading()
        await io_passed()
        del order[:]
        for _, _, peer in (one, other):
            assert peer.send(bytes(400_000)) == 400_000
        for transport, _, _ in (one, other):
            transport.resume_reading()
        for _, protocol, _ in (one, other):
            await protocol.received(1_400_000 + before * 40_000)
        assert sorted(order[:2]) == ["a", "b"]


async def test_what_is_ready_at_once_leaves_room_for_what_has_waited():
    """An enter completes 20 of the requests that something has come for, but all of those that
    have something when they are submitted."""
    loop = asyncio.get_running_loop()
    seen = {}

    def note(reader):
        seen.setdefault(reader, turns())

    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(unix_pair()) for _ in range(320)]
        waiting, ready = pairs[:200], pairs[200:]
        for one, _ in waiting:
            loop.add_reader(one, note, one)
        await io_passed()
        for _, other in pairs:
            other.send(b"x")
        for one, _ in ready:
            loop.add_reader(one, note, one)
        while len(seen) < len(pairs):
            await asyncio.sleep(0)
        for one, _ in pairs:
            loop.remove_reader(one)
        assert max(seen[one] for one, _ in waiting) <= min(seen.values()) + 1
