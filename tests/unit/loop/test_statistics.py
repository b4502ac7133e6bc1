"""loop.statistics(): what a loop has done, and how long it took."""

import asyncio
import socket
import time

import pytest
from datagrams import arrived, endpoint
from lending import LeaseRecorder
from peers import PAIRS, connection, payload
from pipe_ends import reading_pipe, writing_pipe
from recording import BufferedRecorder, Recorder

from zcloop.loop import Statistics

pytestmark = pytest.mark.zcloop_only
SMALL, LARGE = 1000, 300_000


@pytest.mark.needs("cpu_clock")
def test_time_asleep_and_awake(loop):
    began = time.monotonic_ns()
    loop.run_until_complete(asyncio.sleep(0.1))
    elapsed = time.monotonic_ns() - began
    before = loop.statistics()
    assert 0.09e9 < before["asleep_ns"] < elapsed
    time.sleep(0.1)  # between two runs it is neither

    async def busy():
        end = time.thread_time() + 0.1
        while time.thread_time() < end:
            pass
        return loop.statistics()["awake_ns"]

    awake = loop.run_until_complete(busy())
    after = loop.statistics()
    assert after["asleep_ns"] - before["asleep_ns"] < 0.05e9
    assert awake - before["awake_ns"] >= 0.1e9
    assert awake <= after["awake_ns"]
    time.sleep(0.05)
    assert loop.statistics()["awake_ns"] == after["awake_ns"]


def counted(*names):
    books = asyncio.get_running_loop().statistics()
    return tuple(books[name] for name in names)


def pair_of(family):
    """Two connected datagram sockets, the second one not blocking."""
    if family == socket.AF_UNIX:
        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    else:
        ours, peer = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        ours.bind(("127.0.0.1", 0))
        peer.connect(ours.getsockname())
        ours.connect(peer.getsockname())
    peer.setblocking(False)
    return ours, peer


async def sent_by(peer, protocol, size):
    """`size` bytes from the raw socket have reached the protocol."""
    wanted = len(protocol.data) + size
    await asyncio.get_running_loop().sock_sendall(peer, payload(size))
    await protocol.received(wanted)


async def taken_by(peer, size):
    """`size` bytes have reached the raw socket."""
    while size:
        size -= len(await asyncio.get_running_loop().sock_recv(peer, size))


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("kind", [Recorder, BufferedRecorder])
async def test_received_bytes_and_their_copies(kind, pair):
    async with connection(kind, pair) as (_, protocol, peer):
        await sent_by(peer, protocol, SMALL)
        assert counted("received_bytes", "copied_bytes") == (SMALL, SMALL)
        await sent_by(peer, protocol, LARGE)
        received, copied = counted("received_bytes", "copied_bytes")
        assert received == SMALL + LARGE
        assert SMALL <= copied <= received


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_sent_bytes_and_their_copies(kind, pair):
    async with connection(Recorder, pair) as (transport, _, peer):
        transport.write(kind(payload(SMALL)))
        assert counted("sent_bytes", "copied_bytes") == (SMALL, 0)  # the kernel has it
        await taken_by(peer, SMALL)
        transport.write(kind(payload(LARGE)))
        await taken_by(peer, LARGE)
        assert counted("sent_bytes") == (SMALL + LARGE,)


async def test_bytes_received_through_a_pipe_are_not_copied():
    protocol = Recorder()
    async with reading_pipe(protocol) as (_, writer):
        for size in (SMALL, 50_000):
            writer.write(payload(size))
            await protocol.received(len(protocol.data) + size)
        assert counted("received_bytes", "copied_bytes") == (SMALL + 50_000, 0)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_bytes_sent_through_a_pipe_and_their_copies(kind):
    async with writing_pipe(Recorder()) as (transport, reader):
        transport.write(kind(payload(SMALL)))
        assert counted("sent_bytes", "copied_bytes") == (SMALL, 0)
        transport.write(kind(payload(LARGE)))
        left = SMALL + LARGE - counted("sent_bytes")[0]
        assert left == transport.get_write_buffer_size() > 0
        size = 0
        while size < SMALL + LARGE:
            size += len(reader.read(LARGE) or b"")
            await asyncio.sleep(0)
        assert counted("sent_bytes", "received_bytes") == (SMALL + LARGE, 0)
        assert counted("copied_bytes") == (0 if kind is bytes else left,)


async def test_what_was_lent_stays_counted_when_its_transport_is_gone():
    async with connection(LeaseRecorder) as (_, protocol, peer):
        await sent_by(peer, protocol, SMALL)
        assert counted("lent_bytes", "copied_bytes") == (0, SMALL)  # up to the copybreak
        await sent_by(peer, protocol, LARGE)
        before = counted("received_bytes", "lent_bytes", "copied_bytes", "starved_bytes")
        assert before[0] == SMALL + LARGE == before[1] + before[2]
    assert counted("received_bytes", "lent_bytes", "copied_bytes", "starved_bytes") == before


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
@pytest.mark.parametrize("size", [0, 1, SMALL])
async def test_datagrams_received_and_their_copies(family, size):
    ours, peer = pair_of(family)
    async with endpoint(sock=ours) as (_, protocol):
        for _ in range(5):
            peer.send(payload(size))
        await protocol.received(5)
        copied = 5 * size if family == socket.AF_INET else 0  # received where it stays
        assert counted("received_bytes", "copied_bytes") == (5 * size, copied)
    peer.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
@pytest.mark.parametrize("kind", [bytes, bytearray])
@pytest.mark.parametrize("is_many", [False, True])
async def test_datagrams_sent_and_their_copies(family, kind, is_many):
    ours, peer = pair_of(family)
    sizes = [SMALL, SMALL, SMALL, SMALL, 1, 2, 3, 4, 0]
    async with endpoint(sock=ours) as (transport, _):
        data = [kind(payload(size)) for size in sizes]
        if is_many:
            transport.sendto_many(data)
        else:
            for one in data:
                transport.sendto(one)
        assert [len(one) for one in await arrived(peer, len(sizes))] == sizes
        copied = 0 if kind is bytes else sum(sizes)
        assert counted("sent_bytes", "copied_bytes") == (sum(sizes), copied)
    peer.close()


async def test_a_datagram_that_was_refused_was_not_sent():
    ours, peer = pair_of(socket.AF_INET)
    async with endpoint(sock=ours) as (transport, protocol):
        transport.sendto(bytes(65_508))
        transport.sendto(payload(SMALL))
        assert await arrived(peer, 1) == [payload(SMALL)]
        await protocol.until(lambda: protocol.errors)
        assert counted("sent_bytes") == (SMALL,)
    peer.close()


def test_the_type_has_the_keys_of_a_loop_that_has_lent_nothing(loop):
    found = loop.statistics()
    assert found.keys() == Statistics.__required_keys__
    assert {type(value) for value in found.values()} == {int}


async def test_the_type_has_the_keys_of_a_loop_that_has_lent():
    async with connection(LeaseRecorder) as (_, protocol, peer):
        await sent_by(peer, protocol, LARGE)
        found = asyncio.get_running_loop().statistics()
    assert found.keys() == Statistics.__required_keys__ | Statistics.__optional_keys__


def test_a_closed_loop_has_statistics_and_nothing_in_hand(loop_factory):
    loop = loop_factory()
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.call_soon(print)
    loop.call_later(60, print)
    loop.close()
    found = loop.statistics()
    assert found["turns"] > 0
    assert [found[name] for name in ("ready", "timers", "transports", "inflight")] == [0] * 4
