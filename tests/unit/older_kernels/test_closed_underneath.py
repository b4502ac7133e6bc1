"""The program closes a socket that it gave to a transport, and its number becomes another's.

The transport ends with EBADF; what belongs to the other is neither taken, nor written to, nor
shut down.
"""

import asyncio
import contextlib
import errno
import os
import socket

import pytest
from peers import connection, fill, io_passed, payload, receive_exactly, tcp_pair, unix_pair
from recording import DatagramRecorder, Recorder

pytestmark = pytest.mark.zcloop_only  # asyncio keeps waiting, or asks whoever has the number


def socket_of(transport):
    return transport.get_extra_info("socket")._sock


@contextlib.contextmanager
def stranger(sock, kind=socket.SOCK_STREAM):
    """Close `sock` and give its number to one of a pair; that one, and its peer."""
    number = sock.fileno()
    with unix_pair(kind) as (one, other):
        one.send(b"for me")
        other.send(b"for the other")
        sock.close()
        os.dup2(one.fileno(), number)
        with socket.socket(fileno=number) as taken:
            yield taken, other


def is_bad_fd(error):
    return isinstance(error, OSError) and error.errno == errno.EBADF


@pytest.mark.parametrize("size", [10, 40_000])
async def test_closing_it_in_a_callback_ends_the_transport(size):
    class Closes(Recorder):
        def data_received(self, data):
            super().data_received(data)
            socket_of(self.transport).close()

    async with connection(Closes, unix_pair) as (_, protocol, peer):
        for count in range(1, 4):
            with contextlib.suppress(BrokenPipeError):
                peer.send(payload(size))
            await protocol.received(size * count)
        # A multishot receive in flight keeps the file: all of it comes then.
        if protocol.data != payload(size) * 3:
            assert is_bad_fd(await protocol.lost())


async def test_resuming_takes_nothing_from_a_stranger():
    async with connection(Recorder) as (transport, protocol, _):
        transport.pause_reading()
        await io_passed()
        with stranger(socket_of(transport)) as (taken, _):
            transport.resume_reading()
            assert is_bad_fd(await protocol.lost())
            assert protocol.data == b"" and taken.recv(100) == b"for the other"


@pytest.mark.needs("uring")  # epoll forgets a file that is closed: nothing is told any more
async def test_what_is_queued_is_not_sent_to_a_stranger():
    async with connection(Recorder) as (transport, protocol, peer):
        size = fill(socket_of(transport))
        transport.write(b"queued" * 1000)
        await io_passed()
        with stranger(socket_of(transport)) as (_, other):
            await receive_exactly(peer, size)
            assert is_bad_fd(await protocol.lost())
            assert other.recv(100) == b"for me"
            with pytest.raises(BlockingIOError):
                other.recv(100)


async def test_a_stranger_is_not_shut_down():
    async with connection(Recorder) as (transport, protocol, _):
        with stranger(socket_of(transport)) as (taken, _):
            with pytest.raises(OSError, match="Bad file descriptor"):
                transport.write_eof()
            taken.send(b"still open")
            transport.abort()
            await protocol.lost()


@contextlib.contextmanager
def stranger_that_listens(sock, how):
    """Close a listening socket, and give its number to another one; that one's address."""
    number = sock.fileno()
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.setblocking(False)
        if how == "close":
            sock._sock.close()
        os.dup2(other.fileno(), number)
        yield other, other.getsockname()
        if how == "close":
            os.close(number)


@pytest.mark.parametrize("how", ["close", "dup2"])
def test_a_listener_accepts_nothing_from_the_next_owner_of_its_number(loop, reported, how):
    server = loop.run_until_complete(loop.create_server(Recorder, "127.0.0.1", 0))
    loop.run_until_complete(io_passed())
    with stranger_that_listens(server.sockets[0], how) as (other, address):
        with socket.create_connection(address) as client:
            loop.run_until_complete(io_passed())
            loop.run_until_complete(io_passed())
            connected, peer = other.accept()
            connected.close()
            assert peer == client.getsockname()
        server.close()
    (context,) = reported
    reported.clear()
    assert is_bad_fd(context["exception"]) and "the listener has stopped" in context["message"]


def test_a_listener_whose_socket_was_closed_serves_nobody_any_more(loop, reported):
    made = []
    server = loop.run_until_complete(loop.create_server(lambda: made.append(0), "127.0.0.1", 0))
    address = server.sockets[0].getsockname()
    loop.run_until_complete(io_passed())

    async def connect():
        server.sockets[0]._sock.close()
        for _ in range(3):
            with contextlib.suppress(OSError), socket.create_connection(address) as client:
                client.setblocking(False)
                assert await loop.sock_recv(client, 1) == b""

    loop.run_until_complete(connect())
    server.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    assert made == []
    assert [is_bad_fd(context["exception"]) for context in reported] == [True]
    reported.clear()


def test_a_stream_takes_nothing_from_a_stranger_in_the_next_run(loop):
    context = connection(Recorder)
    transport, protocol, _ = loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(io_passed())
    with stranger(socket_of(transport)) as (taken, _):
        loop.run_until_complete(io_passed())
        assert is_bad_fd(loop.run_until_complete(protocol.lost()))
        assert protocol.data == b"" and taken.recv(100) == b"for the other"
    loop.run_until_complete(context.__aexit__(None, None, None))


@contextlib.asynccontextmanager
async def endpoint():
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(sock.getsockname())
        transport, protocol = await loop.create_datagram_endpoint(DatagramRecorder, sock=sock)
        try:
            yield transport, protocol
        finally:
            transport.abort()
            await protocol.lost()


async def test_resuming_takes_no_datagram_of_a_stranger():
    async with endpoint() as (transport, protocol):
        transport.pause_reading()
        await io_passed()
        with stranger(socket_of(transport), socket.SOCK_DGRAM) as (taken, _):
            transport.resume_reading()
            assert is_bad_fd(await protocol.lost())
            assert protocol.datagrams == [] and taken.recv(100) == b"for the other"


def test_an_endpoint_takes_nothing_from_a_stranger_in_the_next_run(loop):
    context = endpoint()
    transport, protocol = loop.run_until_complete(context.__aenter__())
    loop.run_until_complete(io_passed())
    with stranger(socket_of(transport), socket.SOCK_DGRAM) as (taken, _):
        assert is_bad_fd(loop.run_until_complete(protocol.lost()))
        assert protocol.datagrams == [] and taken.recv(100) == b"for the other"
    loop.run_until_complete(context.__aexit__(None, None, None))


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_datagrams_are_not_sent_to_a_stranger(count):
    async with endpoint() as (transport, protocol):
        transport.pause_reading()
        await io_passed()
        with stranger(socket_of(transport), socket.SOCK_DGRAM) as (_, other):
            for _ in range(count):
                transport.sendto(b"for nobody")
            assert is_bad_fd(await protocol.lost())
            assert other.recv(100) == b"for me"
            with pytest.raises(BlockingIOError):
                other.recv(100)


async def test_the_next_owner_of_the_number_is_served():
    async with connection(Recorder) as (first, lost, _):
        first.pause_reading()
        await io_passed()
        socket_of(first).close()
        with tcp_pair() as (ours, peer):
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.create_connection(Recorder, sock=ours)
            first.resume_reading()
            assert is_bad_fd(await lost.lost())
            peer.send(b"mine")
            assert await protocol.received(4) == b"mine"
            transport.abort()
            await protocol.lost()
