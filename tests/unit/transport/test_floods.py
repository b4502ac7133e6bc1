"""A stream that brings more than is read gets the ring of large slots; with pauses it leaves it."""

import array
import asyncio
import fcntl
import os
import socket
import termios
import threading

import pytest
from lending import LeaseRecorder, is_balanced
from peers import connection, io_passed, payload, tcp_pair
from waits import until

pytestmark = [
    pytest.mark.zcloop_only,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs a receive buffer beyond rmem_max: root"),
]

SO_RCVBUFFORCE = 33
BLOCK = 256 * 1024
SIZE = 64 * BLOCK
LOOKS_MAX = 1000


def queued(sock):
    """Bytes that wait in the socket."""
    found = array.array("i", [0])
    fcntl.ioctl(sock.fileno(), termios.FIONREAD, found)
    return found[0]


class Slow(LeaseRecorder):
    """Returns when a block waits in the socket, or nothing more is sent or comes in."""

    def __init__(self, **limits):
        super().__init__(**limits)
        self.is_sent = threading.Event()

    def connection_made(self, transport):
        self.sock = transport.get_extra_info("socket")
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 * BLOCK)
        super().connection_made(transport)

    def buffer_received(self, view):
        super().buffer_received(view)
        for _ in range(LOOKS_MAX):  # an older kernel's window may be less than a block
            if queued(self.sock) >= BLOCK or self.is_sent.wait(0.0001):
                break


def send_all(peer, data, is_sent):
    peer.settimeout(20)
    peer.sendall(data)
    is_sent.set()


async def flooded(transport, protocol, peer, data):
    sender = threading.Thread(target=send_all, args=(peer, data, protocol.is_sent))
    sender.start()
    try:
        return await protocol.received(len(data))
    finally:
        if not protocol.is_sent.is_set():
            transport.abort()
        sender.join()
        peer.setblocking(False)


async def test_a_flood_is_received_into_large_slots_complete_and_in_order():
    data = payload(SIZE)
    async with connection(lambda: Slow(copybreak=0), tcp_pair) as (transport, protocol, peer):
        assert await flooded(transport, protocol, peer, data) == data
        assert transport._stream.is_flood
        assert transport.lease_statistics()["copied_bytes"] == 0
        assert is_balanced(asyncio.get_running_loop().statistics(), "pool_")


async def test_small_messages_lead_back_to_the_small_slots():
    data = payload(SIZE)
    async with connection(Slow, tcp_pair) as (transport, protocol, peer):
        await flooded(transport, protocol, peer, data)
        assert transport._stream.is_flood
        for number in range(40):
            peer.send(payload(100, number))
            await protocol.received(SIZE + 100 * (number + 1))
        assert protocol.data[SIZE:] == b"".join(payload(100, number) for number in range(40))
        assert not transport._stream.is_flood


async def test_a_protocol_that_answers_is_in_no_flood():
    class Answers(Slow):
        def buffer_received(self, view):
            super().buffer_received(view)
            self.transport.write(b"!")

    data = payload(SIZE)
    async with connection(Answers, tcp_pair) as (transport, protocol, peer):
        assert await flooded(transport, protocol, peer, data) == data
        assert not transport._stream.is_flood


async def test_an_answer_ends_the_flood():
    data = payload(2 * SIZE)
    async with connection(Slow, tcp_pair) as (transport, protocol, peer):
        receiving = asyncio.ensure_future(flooded(transport, protocol, peer, data))
        await protocol.received(SIZE)
        assert transport._stream.is_flood
        while len(protocol.data) < 2 * SIZE:
            transport.write(b"!")
            await protocol.received(len(protocol.data) + 1)
        assert await receiving == data
        assert not transport._stream.is_flood


async def test_a_pause_in_a_flood_loses_nothing():
    data = payload(SIZE)
    async with connection(Slow, tcp_pair) as (transport, protocol, peer):
        receiving = asyncio.ensure_future(flooded(transport, protocol, peer, data))
        while len(protocol.data) < SIZE:
            transport.pause_reading()
            seen = len(protocol.data)
            await io_passed()
            assert len(protocol.data) == seen
            transport.resume_reading()
            await protocol.received(seen + 1)
        assert await receiving == data


async def test_without_memory_for_large_slots_it_goes_on_as_before():
    data = payload(SIZE)
    asyncio.get_running_loop().set_lease_pool_limit(1536 * 1024)  # the first region alone
    async with connection(Slow, tcp_pair) as (transport, protocol, peer):
        with transport.reserve(BLOCK):
            assert await flooded(transport, protocol, peer, data) == data
            assert not transport._stream.is_flood


async def test_a_stream_that_its_quota_pauses_is_in_no_flood():
    """Blocks from before a pause and after it are not in a row: its holder does not keep up."""
    size = 16 * SIZE
    quota = 4 * BLOCK
    factory = lambda: Slow(keeps=True, quota=quota)  # noqa: E731
    async with connection(factory, tcp_pair) as (transport, protocol, peer):
        account = transport._ensure_lender().account
        receiving = asyncio.ensure_future(flooded(transport, protocol, peer, bytes(size)))
        while len(protocol.data) < size:
            await until(lambda: account.is_waiting or len(protocol.data) == size)
            assert not transport._stream.is_flood
            assert account.held <= quota + BLOCK
            protocol.release()
        assert await receiving == bytes(size)
        assert transport.lease_statistics()["starved_bytes"] == 0
        assert transport.lease_statistics()["pauses"] >= 8
        protocol.release()


async def test_a_pause_by_its_quota_ends_the_flood():
    data = payload(3 * SIZE)
    async with connection(Slow, tcp_pair) as (transport, protocol, peer):
        receiving = asyncio.ensure_future(flooded(transport, protocol, peer, data))
        await protocol.received(SIZE)
        assert transport._stream.is_flood
        protocol.keeps = True
        transport.set_lease_limits(quota=2 * BLOCK)
        await until(lambda: transport.lease_statistics()["pauses"])
        assert not transport._stream.is_flood
        protocol.keeps = False
        protocol.release()
        assert await receiving == data
