"""KeyboardInterrupt out of a callback, in the middle of a batch: running again loses nothing."""

import asyncio
import contextlib
import socket

import pytest
from peers import connection, fill, io_passed, payload, unix_pair
from recording import BufferedRecorder, DatagramRecorder, Recorder
from waits import until

armed = []


@pytest.fixture(autouse=True)
def nothing_stays_armed():
    armed.clear()
    yield
    assert armed == [], "the callback that was to raise was never called"


def raise_if(name):
    if armed == [name]:
        armed.clear()
        raise KeyboardInterrupt


class Interrupts:
    def note(self, *call):
        super().note(*call)
        raise_if(call[0])


class Streams(Interrupts, Recorder):
    pass


class Buffered(Interrupts, BufferedRecorder):
    pass


def run_through_interrupt(loop, coroutine):
    """Run it although the loop is left once in between."""
    task = loop.create_task(coroutine)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    return loop.run_until_complete(task)


@contextlib.contextmanager
def connections(loop, factory, count=50):
    stack = contextlib.AsyncExitStack()

    async def make():
        return [
            await stack.enter_async_context(connection(factory, unix_pair)) for _ in range(count)
        ]

    yield loop.run_until_complete(make())
    loop.run_until_complete(stack.aclose())


@pytest.mark.parametrize("factory", [Streams, Buffered])
@pytest.mark.parametrize("size", [10, 1000, 60_000])
def test_received_data_of_all_connections_survives(loop, factory, size):
    async def everybody(count):
        for number, (_, protocol, _) in enumerate(made):
            wanted = payload(size, number) * count
            assert await protocol.received(len(wanted)) == wanted

    with connections(loop, factory) as made:
        for count in (1, 2, 3, 4):
            for number, (_, _, peer) in enumerate(made):
                peer.send(payload(size, number))
            armed[:] = ["data_received" if factory is Streams else "buffer_updated"]
            run_through_interrupt(loop, everybody(count))


@pytest.mark.parametrize("factory", [Streams, Buffered])
def test_a_connection_that_receives_in_bulk_goes_on(loop, factory):
    data = payload(3_000_000)

    async def transfer(protocol, peer, count):
        sending = asyncio.ensure_future(loop.sock_sendall(peer, data))
        assert await protocol.received(len(data) * count) == data * count
        await sending

    with connections(loop, factory, 1) as ((_, protocol, peer),):
        loop.run_until_complete(transfer(protocol, peer, 1))
        armed[:] = ["data_received" if factory is Streams else "buffer_updated"]
        run_through_interrupt(loop, transfer(protocol, peer, 2))


def test_held_data_is_delivered_after_an_interrupted_delivery(loop):
    async def fill_up():
        transport.pause_reading()
        for number in range(10):
            peer.send(b"%d" % number)
            await asyncio.sleep(0)
        await io_passed()
        transport.resume_reading()

    with connections(loop, Streams, 1) as ((transport, protocol, peer),):
        loop.run_until_complete(fill_up())
        armed[:] = ["data_received"]
        peer.send(b"!")
        run_through_interrupt(loop, protocol.received(11))
        assert protocol.data == b"0123456789!"


def test_the_ends_of_all_connections_are_told(loop):
    async def everybody():
        for _, protocol, _ in made:
            assert await protocol.lost() is None

    with connections(loop, Streams) as made:
        armed[:] = ["connection_lost"]
        for transport, _, _ in made:
            transport.close()
        run_through_interrupt(loop, everybody())
    with connections(loop, Streams) as made:
        armed[:] = ["eof_received"]
        for _, _, peer in made:
            peer.close()
        run_through_interrupt(loop, everybody())
        # The interrupted one is asked again: it has not answered.
        assert sum(protocol.names.count("eof_received") for _, protocol, _ in made) == 51


# asyncio's transport then finds an empty queue, and fails.
RESUME_WRITING = pytest.param("resume_writing", marks=pytest.mark.zcloop_only)


@pytest.mark.parametrize("name", ["pause_writing", RESUME_WRITING])
def test_what_is_queued_goes_out_although_flow_control_was_interrupted(loop, name):
    async def receive(transport, peer):
        transport.write(b"queued")
        received = bytearray()
        while not received.endswith(b"queued"):
            received += await loop.sock_recv(peer, 1 << 20)

    with connections(loop, Streams, 1) as ((transport, _protocol, peer),):
        transport.set_write_buffer_limits(high=0)
        fill(transport.get_extra_info("socket")._sock)
        armed[:] = [name]
        if name == "pause_writing":
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(receive(transport, peer))
            loop.run_until_complete(asyncio.sleep(0.001))
            received = bytearray()
            while not received.endswith(b"queued"):
                received += loop.run_until_complete(loop.sock_recv(peer, 1 << 20))
        else:
            run_through_interrupt(loop, receive(transport, peer))
            loop.run_until_complete(asyncio.sleep(0.001))
            assert transport.get_write_buffer_size() == 0


# asyncio leaves the accepted socket to the garbage collector, which warns.
FACTORY = pytest.param("factory", marks=pytest.mark.zcloop_only)


@pytest.mark.parametrize("where", [FACTORY, "connection_made"])
def test_connections_accepted_in_the_same_batch_are_served(loop, where):
    made = []

    def factory():
        raise_if("factory")
        made.append(Streams())
        return made[-1]

    async def serve():
        return await loop.create_server(factory, "127.0.0.1", 0)

    async def served(count):
        await until(lambda: len(made) >= count)

    server = loop.run_until_complete(serve())
    clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(20)]
    armed[:] = [where]
    run_through_interrupt(loop, served(20 if where == "connection_made" else 19))
    clients.append(socket.create_connection(server.sockets[0].getsockname()))
    loop.run_until_complete(served(len(clients) - (where == "factory")))
    for client in clients:
        client.send(b"x")
    for protocol in made:
        assert loop.run_until_complete(protocol.received(1)) == b"x"
    server.close()
    for client in clients:
        client.close()

    async def all_lost():
        for protocol in made:
            protocol.transport.abort()
            await protocol.lost()

    loop.run_until_complete(all_lost())


def test_datagrams_of_the_same_batch_are_delivered(loop):
    class Datagrams(Interrupts, DatagramRecorder):
        pass

    transport, protocol = loop.run_until_complete(
        loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", 0))
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in range(100):
            sender.sendto(b"%d" % number, transport.get_extra_info("sockname"))
    armed[:] = ["datagram_received"]
    received = run_through_interrupt(loop, protocol.received(100))
    assert received == [b"%d" % number for number in range(100)]
    transport.close()
    loop.run_until_complete(protocol.lost())
