"""loop.statistics(): what a loop has done, and how long it took."""

import asyncio
import time

import pytest
from lending import LeaseRecorder
from peers import PAIRS, connection, payload
from recording import BufferedRecorder, Recorder

pytestmark = pytest.mark.zcloop_only
SMALL, LARGE = 1000, 300_000


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
        await taken_by(peer, SMALL)
        copied = 0 if kind is bytes else SMALL
        assert counted("sent_bytes", "copied_bytes") == (SMALL, copied)
        transport.write(kind(payload(LARGE)))
        await taken_by(peer, LARGE)
        assert counted("sent_bytes") == (SMALL + LARGE,)


async def test_what_was_lent_stays_counted_when_its_transport_is_gone():
    async with connection(LeaseRecorder) as (_, protocol, peer):
        await sent_by(peer, protocol, SMALL)
        assert counted("lent_bytes", "copied_bytes") == (0, SMALL)  # up to the copybreak
        await sent_by(peer, protocol, LARGE)
        before = counted("received_bytes", "lent_bytes", "copied_bytes", "starved_bytes")
        assert before[0] == SMALL + LARGE == before[1] + before[2]
    assert counted("received_bytes", "lent_bytes", "copied_bytes", "starved_bytes") == before
