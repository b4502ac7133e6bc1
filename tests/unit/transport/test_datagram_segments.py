"""What a protocol does in the middle of the datagrams of one received buffer."""

import asyncio
import contextlib
import socket

import pytest
from datagrams import arrived, endpoint, receiver
from peers import payload
from recording import DatagramRecorder

import zcloop

pytestmark = pytest.mark.zcloop_only

UDP_SEGMENT = 103
SENT = [b"%04d" % number for number in range(10)]


class Third(DatagramRecorder):
    """Does something when it has received three datagrams."""

    do = None

    def datagram_received(self, data, addr):
        super().datagram_received(data, addr)
        if len(self.datagrams) == 3 and self.do is not None:
            self.do()


class Views(zcloop.ZeroCopyDatagramProtocol):
    def __init__(self):
        self.received = []

    def datagram_buffer_received(self, view, addr):
        self.received.append(bytes(view))
        view.release()


@contextlib.asynccontextmanager
async def one_buffer():
    """An endpoint to which ten datagrams are on their way, in one piece."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Third, ("127.0.0.1", 0))
    transport.set_segmented_receive(True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 4)
        peer.sendto(b"".join(SENT), transport.get_extra_info("sockname"))
    try:
        yield transport, protocol
    finally:
        transport.abort()
        await asyncio.sleep(0)


def test_an_interrupt_delays_the_others_and_loses_none(loop):
    async def receive():
        async with one_buffer() as (_, protocol):
            protocol.do = interrupt
            assert await protocol.received(10) == SENT

    def interrupt():
        raise KeyboardInterrupt

    task = loop.create_task(receive())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    loop.run_until_complete(task)


async def test_a_pause_holds_the_others_back():
    async with one_buffer() as (transport, protocol):
        protocol.do = transport.pause_reading
        assert await protocol.received(3) == SENT[:3]
        await asyncio.sleep(0)
        assert protocol.datagrams == SENT[:3]
        transport.resume_reading()
        assert await protocol.received(10) == SENT


async def test_after_a_close_there_are_no_others():
    async with one_buffer() as (transport, protocol):
        protocol.do = transport.close
        await protocol.lost()
        assert protocol.datagrams == SENT[:3]


async def test_another_protocol_gets_the_others_as_it_wants_them():
    async with one_buffer() as (transport, protocol):
        views = Views()
        protocol.do = lambda: transport.set_protocol(views)
        assert await protocol.received(3) == SENT[:3]
        while len(views.received) < 7:
            await asyncio.sleep(0)
        assert views.received == SENT[3:]
        transport.set_protocol(protocol)


@pytest.mark.parametrize("is_connected", [False, True])
async def test_many_leases_may_be_released_as_soon_as_each_was_taken(is_connected):
    with receiver() as peer:
        address = peer.getsockname()
        options = {"remote_addr": address} if is_connected else {"local_addr": ("127.0.0.1", 0)}
        async with endpoint(**options) as (transport, _):

            def leases():
                for number in range(5):
                    with transport.reserve(100) as view:
                        view[:] = payload(100, number)
                        yield view

            transport.sendto_many(leases(), None if is_connected else address)
            assert await arrived(peer, 5) == [payload(100, number) for number in range(5)]
