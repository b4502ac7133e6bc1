"""Datagrams: every size, errors, pauses and ends, connected or not, UDP and Unix."""

import asyncio
import contextlib
import socket

import pytest
from peers import LOOP_NAME, io_passed, payload, unix_pair
from recording import DatagramRecorder

# asyncio sends to the peer of an unnamed Unix socket only with an address, which it has not.
KINDS = pytest.mark.parametrize(
    "kind", ["udp", pytest.param("unix", marks=pytest.mark.zcloop_only)]
)


@contextlib.asynccontextmanager
async def endpoint(factory=DatagramRecorder, **options):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(factory, **options)
    try:
        yield transport, protocol
    finally:
        transport.abort()
        await protocol.lost()


@contextlib.asynccontextmanager
async def pair_of(kind):
    """Two (transport, protocol) that reach each other by sendto() without an address; or the
    first only answers."""
    if kind == "unix":
        with unix_pair(socket.SOCK_DGRAM) as (one, other):
            async with endpoint(sock=one) as first, endpoint(sock=other) as second:
                yield first, second
        return
    async with endpoint(local_addr=("127.0.0.1", 0)) as first:
        address = first[0].get_extra_info("sockname")
        async with endpoint(remote_addr=address) as second:
            yield first, second


def closed_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()


@KINDS
async def test_datagrams_of_every_size_keep_every_byte_and_their_order(kind):
    sizes = [0, 1, 1472, 16_384, 65_507 if kind == "udp" else 100_000]
    if LOOP_NAME.startswith("asyncio"):
        sizes.remove(0)  # it sends none before 3.13
    async with pair_of(kind) as ((answering, heard), (asking, answered)):
        for count, size in enumerate(sizes, 1):
            asking.sendto(payload(size, size))
            assert (await heard.received(count))[-1] == payload(size, size)
            sender = heard.calls[-1][2]
            answering.sendto(payload(size, size), sender if kind == "udp" else None)
            assert (await answered.received(count))[-1] == payload(size, size)
        for number in range(100):
            asking.sendto(b"%d" % number)
        expected = [b"%d" % number for number in range(100)]
        assert (await heard.received(len(sizes) + 100))[len(sizes) :] == expected


async def test_endpoints_that_begin_at_once_are_all_served_and_told_of_no_error():
    async with contextlib.AsyncExitStack() as stack:
        made = await asyncio.gather(
            *(stack.enter_async_context(endpoint(local_addr=("127.0.0.1", 0))) for _ in range(20))
        )
        sender = made[0][0]
        for transport, _ in made:
            sender.sendto(b"x", transport.get_extra_info("sockname"))
        for _, protocol in made:
            assert await protocol.received(1) == [b"x"]
            assert protocol.errors == []


async def test_an_endpoint_that_was_paused_when_others_began_is_served():
    async with endpoint(local_addr=("127.0.0.1", 0)) as (first, heard):
        first.pause_reading()
        async with endpoint(local_addr=("127.0.0.1", 0)) as (second, _):
            await io_passed()
            second.sendto(b"during", first.get_extra_info("sockname"))
            await io_passed()
            assert heard.names == ["connection_made"]
            first.resume_reading()
            assert await heard.received(1) == [b"during"]
            assert heard.errors == []


async def test_a_refusal_is_told_and_receiving_goes_on():
    address = closed_port()
    async with endpoint(remote_addr=address) as (transport, protocol):
        for count in range(1, 4):
            transport.sendto(b"nobody")
            await protocol.until(lambda count=count: len(protocol.errors) >= count)
        assert {type(error) for error in protocol.errors} == {ConnectionRefusedError}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(address)
            peer.sendto(b"here now", transport.get_extra_info("sockname"))
            assert await protocol.received(1) == [b"here now"]


@KINDS
async def test_nothing_is_delivered_during_a_pause_and_nothing_is_lost(kind):
    async with pair_of(kind) as ((transport, heard), (asking, _)):
        for number in range(30):
            asking.sendto(b"%d" % number)
            transport.pause_reading()
            if number % 3:
                await io_passed()
            count = len(heard.calls)
            await asyncio.sleep(0)
            assert len(heard.calls) == count
            transport.resume_reading()
            if number % 2:
                await io_passed()
        assert await heard.received(30) == [b"%d" % number for number in range(30)]


@KINDS
async def test_a_pause_from_within_a_callback_holds_the_rest(kind):
    async with pair_of(kind) as ((transport, heard), (asking, _)):
        delivered = heard.datagram_received

        def datagram_received(data, address):
            delivered(data, address)
            transport.pause_reading()

        heard.datagram_received = datagram_received
        for number in range(10):
            asking.sendto(b"%d" % number)
        for number in range(10):
            await heard.received(number + 1)
            await io_passed()
            assert len(heard.datagrams) == number + 1
            transport.resume_reading()


@pytest.mark.parametrize("end", ["close", "abort"])
@pytest.mark.parametrize("turns", range(3))
async def test_closing_with_a_receive_in_flight_frees_everything(end, turns):
    async with endpoint(local_addr=("127.0.0.1", 0)) as (transport, protocol):
        for _ in range(turns):
            await asyncio.sleep(0)
        transport.sendto(b"x", transport.get_extra_info("sockname"))
        getattr(transport, end)()
        assert await protocol.lost() is None
        assert protocol.errors == [] and len(protocol.datagrams) <= 1


async def test_an_ending_from_within_a_callback_delivers_no_more():
    class Ends(DatagramRecorder):
        def datagram_received(self, data, addr):
            super().datagram_received(data, addr)
            self.transport.abort()

    async with endpoint(Ends, local_addr=("127.0.0.1", 0)) as (transport, protocol):
        address = transport.get_extra_info("sockname")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            for _ in range(10):
                peer.sendto(b"x", address)
        assert await protocol.lost() is None
        assert protocol.datagrams == [b"x"]
