"""KeyboardInterrupt where a transport has more to do after the callback: it does that."""

import asyncio
import contextlib
import socket

import pytest
from peers import connection, fill, payload, receive_all, unix_pair
from recording import BufferedRecorder, DatagramRecorder, Recorder


class Interrupted:
    """Raises out of the callback `armed`, once."""

    armed = None

    def note(self, *call):
        super().note(*call)
        self.raise_if(call[0])

    def raise_if(self, name):
        if self.armed == name:
            self.armed = None
            raise KeyboardInterrupt


class Stream(Interrupted, Recorder):
    """Pauses reading when it gets the first of its data."""

    pauses = False

    def data_received(self, data):
        if self.pauses and not self.data:
            self.transport.pause_reading()
        super().data_received(data)


class Buffered(Interrupted, BufferedRecorder):
    def __init__(self):
        super().__init__(1000)

    def get_buffer(self, sizehint):
        self.raise_if("get_buffer")
        return super().get_buffer(sizehint)


class Datagrams(Interrupted, DatagramRecorder):
    def datagram_received(self, data, addr):
        if not self.datagrams:
            self.transport.pause_reading()
        super().datagram_received(data, addr)


def run_through_interrupt(loop, coroutine):
    """Run it although the loop is left once in between."""
    task = loop.create_task(coroutine)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    return loop.run_until_complete(task)


@contextlib.contextmanager
def connected(loop, factory):
    manager = connection(factory, unix_pair)
    yield loop.run_until_complete(manager.__aenter__())
    loop.run_until_complete(manager.__aexit__(None, None, None))


@pytest.mark.zcloop_only  # asyncio's transport then finds an empty queue, and fails
@pytest.mark.parametrize("end", ["close", "write_eof"])
def test_a_transport_ends_although_resume_writing_was_interrupted(loop, end):
    with connected(loop, Stream) as (transport, protocol, peer):
        transport.set_write_buffer_limits(high=0)
        fill(transport.get_extra_info("socket")._sock)
        transport.write(b"queued")
        getattr(transport, end)()
        protocol.armed = "resume_writing"
        assert run_through_interrupt(loop, receive_all(peer)).endswith(b"queued")
        if end == "close":
            assert loop.run_until_complete(protocol.lost()) is None


@pytest.mark.parametrize("name", ["get_buffer", "buffer_updated"])
def test_what_did_not_fit_into_the_buffer_is_delivered_after_an_interrupt(loop, name):
    data = payload(10_500)
    with connected(loop, Buffered) as (_, protocol, peer):
        peer.send(data)
        protocol.armed = name
        assert run_through_interrupt(loop, protocol.received(len(data))) == data
        peer.send(b"more")
        assert loop.run_until_complete(protocol.received(len(data) + 4)) == data + b"more"


def test_what_arrived_during_a_pause_is_delivered_after_an_interrupt(loop):
    data = payload(60_000)
    with connected(loop, Stream) as (transport, protocol, peer):
        protocol.pauses = True
        peer.send(data)
        loop.run_until_complete(protocol.received(1))
        protocol.armed = "data_received"
        transport.resume_reading()
        peer.send(b"later")
        data += b"later"
        assert run_through_interrupt(loop, protocol.received(len(data))) == data
        peer.send(b"more")
        assert loop.run_until_complete(protocol.received(len(data) + 4)) == data + b"more"


def test_the_end_that_came_during_a_pause_is_told_after_an_interrupt(loop):
    data = payload(20_000)
    with connected(loop, Stream) as (transport, protocol, peer):
        protocol.pauses = True
        peer.send(data)
        peer.close()
        loop.run_until_complete(protocol.received(1))
        protocol.armed = "eof_received"
        transport.resume_reading()
        run_through_interrupt(loop, protocol.lost())
        assert protocol.data == data
        assert protocol.names.count("eof_received") == 2


@contextlib.contextmanager
def endpoint(loop, factory, **options):
    transport, protocol = loop.run_until_complete(
        loop.create_datagram_endpoint(factory, local_addr=("127.0.0.1", 0), **options)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(transport.get_extra_info("sockname"))
        yield transport, protocol, sender
    transport.close()
    loop.run_until_complete(protocol.lost())


def test_datagrams_that_arrived_during_a_pause_are_delivered_after_an_interrupt(loop):
    sent = [b"%d" % number for number in range(10)]
    with endpoint(loop, Datagrams) as (transport, protocol, sender):
        for each in sent:
            sender.send(each)
        loop.run_until_complete(protocol.received(1))
        protocol.armed = "datagram_received"
        transport.resume_reading()
        assert run_through_interrupt(loop, protocol.received(10)) == sent
        sender.send(b"more")
        assert loop.run_until_complete(protocol.received(11)) == [*sent, b"more"]


def test_an_endpoint_receives_after_an_interrupt_in_error_received(loop):
    class Errors(Interrupted, DatagramRecorder):
        pass

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()
    with endpoint(loop, Errors, remote_addr=address) as (transport, protocol, _):
        protocol.armed = "error_received"
        transport.sendto(b"refused")
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(protocol.until(lambda: protocol.errors))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.bind(address)
            peer.sendto(b"answer", transport.get_extra_info("sockname"))
            assert loop.run_until_complete(protocol.received(1)) == [b"answer"]
        for task in asyncio.all_tasks(loop):
            loop.run_until_complete(task)
