"""Code of the program that runs in the middle, without the collector, on every version of Python:
the `__del__` of what is replaced, which uses the same transport or loop, and others."""

import asyncio
import socket

import pytest
from peers import io_passed, unix_pair
from recording import BufferedRecorder, DatagramRecorder, Recorder

import zcloop


class Last(Recorder):
    """A protocol whose end sets another one."""

    following = None

    def __del__(self):
        if self.following is not None:
            self.transport.set_protocol(self.following)


class LastOfDatagrams(DatagramRecorder):
    following = None
    __del__ = Last.__del__


async def test_a_protocol_whose_end_sets_another_one():
    """The last one that was set gets what comes, in its own way."""
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, peer):
        transport, first = await loop.create_connection(Last, sock=ours)
        plain, buffered = Recorder(), BufferedRecorder()
        plain.transport = buffered.transport = transport
        first.following = buffered
        del first
        await io_passed()
        transport.set_protocol(plain)
        peer.send(b"hello")
        await io_passed()
        assert (transport.get_protocol(), buffered.data, plain.data) == (buffered, b"hello", b"")
        transport.abort()
        await buffered.lost()


async def test_a_protocol_of_datagrams_whose_end_sets_another_one():
    loop = asyncio.get_running_loop()
    transport, first = await loop.create_datagram_endpoint(
        LastOfDatagrams, local_addr=("127.0.0.1", 0)
    )
    one, other = DatagramRecorder(), DatagramRecorder()
    one.transport = other.transport = transport
    first.following = other
    del first
    await io_passed()
    transport.set_protocol(one)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.sendto(b"hello", transport.get_extra_info("sockname"))
        await other.until(lambda: other.datagrams or one.datagrams)
    assert (transport.get_protocol(), other.datagrams) == (other, [b"hello"])
    transport.abort()
    await other.lost()


class Callback:
    """A reader or writer whose end acts."""

    def __init__(self, act):
        self.act = act

    def __call__(self):
        pass

    def __del__(self):
        self.act()


@pytest.mark.parametrize("is_reader", [True, False], ids=["reader", "writer"])
async def test_a_reader_whose_end_removes_the_one_in_its_place(is_reader):
    """What is watched can be removed, and is not called after that."""
    loop = asyncio.get_running_loop()
    add = loop.add_reader if is_reader else loop.add_writer
    remove = loop.remove_reader if is_reader else loop.remove_writer
    await io_passed()
    before = loop.statistics()["inflight"] if hasattr(loop, "statistics") else 0
    calls = []
    with unix_pair() as (ours, peer):
        peer.send(b"x")
        add(ours, Callback(lambda: remove(ours)))
        add(ours, calls.append, "called")
        was_there = remove(ours)
        await io_passed()
        assert calls == []
        assert remove(ours) is False
        add(ours, calls.append, "called")
        await io_passed()
        assert calls
        assert remove(ours) is True
        await io_passed()
        if hasattr(loop, "statistics"):
            assert loop.statistics()["inflight"] == before
        assert was_there in (True, False)


async def test_a_reader_whose_end_adds_it_again():
    loop = asyncio.get_running_loop()
    calls = []
    with unix_pair() as (ours, peer):
        peer.send(b"x")
        loop.add_reader(ours, Callback(lambda: loop.add_reader(ours, calls.append, "called")))
        loop.remove_reader(ours)
        await io_passed()
        assert calls
        assert loop.remove_reader(ours) is True


async def test_a_socket_of_a_transport_that_is_asked_for_while_it_is_made(monkeypatch):
    """There is one, and the transport goes on with it."""
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()
    server = await loop.create_server(
        lambda: accepted.set_result(Recorder()) or accepted.result(), "127.0.0.1", 0
    )
    async with server:
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            recorder = await accepted
            await recorder.until(lambda: recorder.transport)
            transport = recorder.transport
            found = []
            made = socket.socket.__init__

            def making(self, *arguments, **more):
                # The code of this class is Python's: what runs in it is another thread, or a
                # finalizer.
                monkeypatch.setattr(socket.socket, "__init__", made)
                found.append(transport._sock)
                made(self, *arguments, **more)

            monkeypatch.setattr(socket.socket, "__init__", making)
            found.append(transport._sock)
            assert found[0] is found[1] is transport._sock
            assert found.pop().fileno() == transport._sock_fd
            found.clear()
            client.sendall(b"hello")
            assert await recorder.received(5) == b"hello"
            transport.abort()
            await recorder.lost()


@pytest.mark.parametrize("come", ["feed_data", "feed_eof", "set_exception"])
async def test_a_transport_that_brings_more_when_it_is_resumed(come):
    """Who waits for more, and so resumes it, is told."""

    class Transport(asyncio.Transport):
        def pause_reading(self):
            pass

        def resume_reading(self):
            arguments = {"feed_data": [bytes(10)], "feed_eof": [], "set_exception": [OSError()]}
            getattr(reader, come)(*arguments[come])

    reader = zcloop.StreamReader(limit=10)
    reader.set_transport(Transport())
    reader.feed_data(bytes(30))
    reading = asyncio.ensure_future(reader.readexactly(40))
    await io_passed()
    assert reading.done()
    if come == "feed_data":
        assert await reading == bytes(40)
    else:
        with pytest.raises(asyncio.IncompleteReadError if come == "feed_eof" else OSError):
            await reading
