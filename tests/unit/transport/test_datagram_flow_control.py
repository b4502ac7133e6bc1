"""Datagram endpoints: pausing, a full socket, the end, exceptions of the protocol."""

import asyncio
import contextlib
import socket

import pytest
from peers import io_passed, unix_pair
from recording import DatagramRecorder


@contextlib.asynccontextmanager
async def unix_endpoint(factory=DatagramRecorder):
    """transport, protocol, and the raw socket it is connected to."""
    loop = asyncio.get_running_loop()
    with unix_pair(socket.SOCK_DGRAM) as (ours, peer):
        transport, protocol = await loop.create_datagram_endpoint(factory, sock=ours)
        try:
            yield transport, protocol, peer
        finally:
            transport.abort()
            await protocol.lost()


def drain(peer):
    received = []
    with contextlib.suppress(BlockingIOError):
        while True:
            received.append(peer.recv(1 << 16))
    return received


def overfill(transport, size=1000):
    """Send numbered datagrams until one must wait; returns how many there were."""
    number = 0
    while transport.get_write_buffer_size() == 0:
        transport.sendto((b"%d," % number).ljust(size))
        number += 1
    return number


def numbers(datagrams):
    return [int(data.partition(b",")[0]) for data in datagrams]


async def test_datagrams_wait_in_order_for_room():
    async with unix_endpoint() as (transport, protocol, peer):
        count = overfill(transport)
        for _ in range(20):
            transport.sendto((b"%d," % count).ljust(1000))
            count += 1
        received = []
        while len(received) < count:
            received += drain(peer)
            await asyncio.sleep(0)
        assert numbers(received) == list(range(count))
        assert protocol.errors == []
        assert transport.get_write_buffer_size() == 0


async def test_the_water_marks_pause_and_resume_the_protocol():
    async with unix_endpoint() as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=3000, low=1000)
        count = overfill(transport)
        while "pause_writing" not in protocol.names:
            transport.sendto((b"%d," % count).ljust(1000))
            count += 1
        assert transport.get_write_buffer_size() > 3000
        received = []
        while "resume_writing" not in protocol.names:
            received += drain(peer)
            await asyncio.sleep(0)
        await io_passed()
        assert numbers(received + drain(peer)) == list(range(count))


async def test_close_sends_what_waits_and_abort_drops_it():
    for end in ("close", "abort"):
        async with unix_endpoint() as (transport, protocol, peer):
            count = overfill(transport)
            getattr(transport, end)()
            assert transport.is_closing()
            received = []
            while not protocol.is_lost:
                received += drain(peer)
                await asyncio.sleep(0)
            received += drain(peer)
            assert numbers(received) == list(range(count if end == "close" else count - 1))


@pytest.mark.zcloop_only  # asyncio promises pause_reading of stream transports only
async def test_nothing_is_delivered_while_reading_is_paused_and_nothing_lost():
    async with unix_endpoint() as (transport, protocol, peer):
        peer.send(b"first")
        await protocol.received(1)
        transport.pause_reading()
        for number in range(5):
            peer.send(b"%d" % number)
        await io_passed()
        assert protocol.datagrams == [b"first"]
        transport.resume_reading()
        peer.send(b"last")
        wanted = [b"first", *(b"%d" % number for number in range(5)), b"last"]
        assert await protocol.received(7) == wanted


@pytest.mark.zcloop_only
async def test_pausing_inside_datagram_received_holds_the_rest():
    class PausesEachTime(DatagramRecorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.pause_reading()

    async with unix_endpoint(PausesEachTime) as (transport, protocol, peer):
        wanted = [b"%d" % number for number in range(8)]
        for data in wanted:
            peer.send(data)
        for count in range(1, 9):
            await protocol.received(count)
            await io_passed()
            assert protocol.datagrams == wanted[:count]
            transport.resume_reading()


@pytest.mark.zcloop_only
async def test_a_paused_endpoint_closes():
    async with unix_endpoint() as (transport, protocol, peer):
        transport.pause_reading()
        peer.send(b"unread")
        await io_passed()
        transport.close()
        assert await protocol.lost() is None
        assert protocol.datagrams == []


async def test_an_exception_of_the_protocol_is_reported_and_the_endpoint_goes_on(reported):
    class Fails(DatagramRecorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            if data == b"bad":
                raise LookupError("bad")

    async with unix_endpoint(Fails) as (_, protocol, peer):
        for data in (b"good", b"bad", b"good again"):
            peer.send(data)
        assert await protocol.received(3) == [b"good", b"bad", b"good again"]
    (context,) = reported
    reported.clear()
    assert isinstance(context["exception"], LookupError)


async def test_sending_after_close_is_ignored():
    async with unix_endpoint() as (transport, protocol, peer):
        transport.close()
        await protocol.lost()
        transport.sendto(b"ignored")
        assert transport.get_write_buffer_size() == 0
        await io_passed()
        assert drain(peer) == []


async def test_closing_from_datagram_received_ends_the_delivery():
    class Closes(DatagramRecorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.close()

    async with unix_endpoint(Closes) as (_, protocol, peer):
        for number in range(5):
            peer.send(b"%d" % number)
        assert await protocol.lost() is None
        assert protocol.datagrams == [b"0"]


async def test_an_address_that_cannot_be_converted_ends_the_endpoint_as_in_asyncio(reported):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        DatagramRecorder, local_addr=("127.0.0.1", 0)
    )
    transport.sendto(b"x", ("127.0.0.1", 1, 2, 3))
    error = await protocol.lost()
    assert isinstance(error, TypeError)
    (context,) = reported
    reported.clear()
    assert context["exception"] is error


async def test_a_hundred_endpoints_come_and_go():
    loop = asyncio.get_running_loop()
    for _ in range(100):
        transport, protocol = await loop.create_datagram_endpoint(
            DatagramRecorder, local_addr=("127.0.0.1", 0)
        )
        transport.sendto(b"x", transport.get_extra_info("sockname"))
        await protocol.received(1)
        transport.close()
        await protocol.lost()


async def test_writing_resumes_at_the_low_water_mark_not_at_the_end():
    async with unix_endpoint() as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=400_000, low=300_000)
        left = []
        protocol.resume_writing = lambda: left.append(transport.get_write_buffer_size())
        overfill(transport)
        for _ in range(400):
            transport.sendto(b"x" * 1000)
        while not left:
            peer.recv(1 << 16)
            await io_passed()
        assert 0 < left[0] <= 300_000
