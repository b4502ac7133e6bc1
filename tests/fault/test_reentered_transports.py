"""What runs in the middle of a send (a finalizer, a signal handler, the code of an address) uses
the same transport: nothing is lost, sent twice, or touched after it was let go."""

import asyncio
import gc
import socket
import sys
import tempfile

import pytest
from datagrams import arrived, endpoint, receiver
from peers import connection, payload, receive_all, receive_exactly
from recording import Recorder

MANY = 300


@pytest.fixture
def collected_often():
    before = gc.get_threshold()
    gc.set_threshold(50)
    yield
    gc.set_threshold(*before)


class Cyclic:
    """Something whose end comes from the garbage collector, in whatever is allocating then."""

    def __init__(self, end):
        self.end = end
        self.me = self

    def __del__(self):
        self.end()


class Port:
    """A port number that runs code when it is asked for."""

    def __init__(self, port, before):
        self.port = port
        self.before = before

    def __index__(self):
        self.before()
        return self.port


@pytest.mark.usefixtures("collected_often")
async def test_finalizers_that_send_while_errors_are_told():
    with tempfile.TemporaryDirectory() as folder:
        options = {"family": socket.AF_UNIX}
        async with (
            endpoint(local_addr=f"{folder}/there", **options) as (_, there),
            endpoint(local_addr=f"{folder}/here", **options) as (transport, here),
        ):
            for number in range(MANY):
                Cyclic(lambda: transport.sendto(b"bye", f"{folder}/there"))
                transport.sendto(bytes(100), f"{folder}/nobody")
                if number % 20 == 0:
                    await asyncio.sleep(0)
            gc.collect()
            assert await there.received(MANY) == [b"bye"] * MANY
            await here.until(lambda: len(here.errors) == MANY)
            assert transport.get_write_buffer_size() == 0


async def test_an_address_that_aborts_the_transport():
    async with endpoint(local_addr=("127.0.0.1", 0)) as (transport, protocol):
        transport.sendto(bytes(1000), ("127.0.0.1", Port(9, transport.abort)))
        assert await protocol.lost() is None
        assert transport.get_write_buffer_size() == 0


async def test_an_address_that_sends():
    with receiver() as peer:
        address = peer.getsockname()
        async with endpoint(local_addr=("127.0.0.1", 0)) as (transport, _):
            again = Port(address[1], lambda: transport.sendto(b"one", address))
            transport.sendto(b"other", (address[0], again))
            assert sorted(await arrived(peer, 2)) == [b"one", b"other"]


async def test_a_transport_that_is_aborted_while_a_name_is_resolved(monkeypatch):
    async with endpoint(local_addr=("127.0.0.1", 0)) as (transport, protocol):
        done = []

        def audit(event, _):
            if event == "socket.sendto" and not done:
                done.append(event)
                transport.abort()

        sys.addaudithook(audit)  # for good, but it does something once only
        transport.sendto(bytes(1000), ("localhost", 9))
        assert await protocol.lost() is None
        assert transport.get_write_buffer_size() == 0
        done.append("")


@pytest.mark.parametrize("collections", range(0, 60, 4))
async def test_a_finalizer_that_aborts_while_results_of_a_batch_are_told(collections):
    local = {"local_addr": ("127.0.0.1", 0)}
    gc.disable()
    before = gc.get_threshold()
    try:
        async with endpoint(**local) as (one, lost), endpoint(**local) as (other, _):
            Cyclic(one.abort)
            for transport in (one, other):
                transport.set_write_buffer_limits(high=1 << 30)
                for number in range(10):  # too large, and of different sizes: no runs
                    size = 65_508 if transport is one else 10
                    transport.sendto(bytes(size + number), ("127.0.0.1", 9 + number))
            gc.set_threshold(gc.get_count()[0] + 4 + collections)
            gc.enable()
            await asyncio.sleep(0)
            gc.disable()
            gc.collect()
            assert await lost.lost() is None
            assert one.get_write_buffer_size() == 0
    finally:
        gc.set_threshold(*before)
        gc.enable()


@pytest.mark.parametrize("collections", range(0, 40, 4))
@pytest.mark.parametrize("end", ["abort", "close"])
async def test_a_finalizer_that_ends_a_stream_while_streams_send_together(collections, end):
    before = gc.get_threshold()
    gc.disable()
    try:
        async with connection(Recorder) as (one, lost, peer), connection(Recorder) as others:
            Cyclic(getattr(one, end))
            others[0].write(payload(1000, 1))
            one.write(payload(1000, 2))
            gc.set_threshold(gc.get_count()[0] + 4 + collections)
            gc.enable()
            await asyncio.sleep(0)
            gc.disable()
            gc.collect()
            assert await lost.lost() is None
            assert await receive_exactly(others[2], 1000) == payload(1000, 1)
            sent = await receive_all(peer)
            assert sent == payload(1000, 2) or (end == "abort" and sent == b"")
    finally:
        gc.set_threshold(*before)
        gc.enable()
