"""Connecting to a Unix listener whose backlog is full: connected is what has a peer."""

import asyncio
import contextlib
import socket

import pytest
from peers import io_passed
from waits import cancelled

import zcloop

# asyncio says connected, uvloop raises BlockingIOError.
pytestmark = pytest.mark.zcloop_only

KINDS = [socket.SOCK_STREAM, socket.SOCK_SEQPACKET]


def unix_socket(kind=socket.SOCK_STREAM):
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.setblocking(False)
    return sock


@contextlib.contextmanager
def full_listener(path, kind=socket.SOCK_STREAM):
    """A listener that takes no connection more, until one is accepted."""
    with unix_socket(kind) as listener, contextlib.ExitStack() as stack:
        listener.bind(path)
        listener.listen(1)
        with contextlib.suppress(BlockingIOError):
            while True:
                stack.enter_context(unix_socket(kind)).connect(path)
        yield listener


def accept_all(listener, stack):
    """Those that wait; the last of them came last."""
    accepted = []
    with contextlib.suppress(BlockingIOError):
        while True:
            accepted.append(stack.enter_context(listener.accept()[0]))
    return accepted


async def accepted_until(connected, listener, stack):
    """Make room until it is done; every connection that was accepted, the newest last."""
    accepted = []
    while not connected.done():
        accepted += accept_all(listener, stack)
        await asyncio.sleep(0)
    return accepted + accept_all(listener, stack)


@pytest.mark.parametrize("kind", KINDS)
async def test_sock_connect_waits_for_room(tmp_path, kind):
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "socket")
    with full_listener(path, kind) as listener, unix_socket(kind) as client:
        connecting = asyncio.ensure_future(loop.sock_connect(client, path))
        await io_passed()
        assert not connecting.done()
        with contextlib.ExitStack() as stack:
            accepted = await accepted_until(connecting, listener, stack)
            await connecting
            assert client.getpeername() == path
            client.send(b"through")
            assert accepted[-1].recv(10) == b"through"


@pytest.mark.parametrize("streams", [None, asyncio, zcloop])
async def test_a_connection_to_a_path_waits_for_room(tmp_path, streams):
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "socket")
    with full_listener(path) as listener:
        if streams is None:
            connect = loop.create_unix_connection(asyncio.Protocol, path)
        else:
            connect = streams.open_unix_connection(path)
        connecting = asyncio.ensure_future(connect)
        await io_passed()
        assert not connecting.done()
        with contextlib.ExitStack() as stack:
            accepted = await accepted_until(connecting, listener, stack)
            one, other = await connecting
            writer = one if streams is None else other
            assert writer.get_extra_info("peername") == path
            writer.write(b"through")
            assert await loop.sock_recv(accepted[-1], 10) == b"through"
            writer.close()
            assert await loop.sock_recv(accepted[-1], 10) == b""


async def test_each_of_many_gets_in_as_there_is_room(tmp_path):
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "socket")
    with full_listener(path) as listener, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(unix_socket()) for _ in range(20)]
        connecting = asyncio.gather(*(loop.sock_connect(one, path) for one in clients))
        await accepted_until(connecting, listener, stack)
        await connecting
        assert {one.getpeername() for one in clients} == {path}


async def test_waiting_for_room_can_be_cancelled(tmp_path):
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "socket")
    with full_listener(path), unix_socket() as client:
        for connect in (
            loop.sock_connect(client, path),
            loop.create_unix_connection(asyncio.Protocol, path),
        ):
            connecting = asyncio.ensure_future(connect)
            await io_passed()
            await cancelled(connecting)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await loop.sock_connect(client, path)


async def test_a_listener_that_goes_meanwhile_refuses(tmp_path):
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "socket")
    with full_listener(path) as listener, unix_socket() as client:
        connecting = asyncio.ensure_future(loop.sock_connect(client, path))
        await io_passed()
        listener.close()
        with pytest.raises(ConnectionRefusedError):
            await connecting


async def test_a_socket_closed_meanwhile_ends_the_wait(tmp_path):
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "socket")
    with full_listener(path), unix_socket() as client:
        connecting = asyncio.ensure_future(loop.sock_connect(client, path))
        await io_passed()
        client.close()
        with pytest.raises(OSError, match="Bad file descriptor"):
            await connecting


async def test_waiting_for_room_is_idle(tmp_path):
    """Room cannot be polled for: it is looked for, ever more seldom, 20 times a second at last."""
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "socket")
    with full_listener(path), unix_socket() as client:
        connecting = asyncio.ensure_future(loop.sock_connect(client, path))
        await io_passed()
        before = loop.statistics()["turns"]
        await asyncio.sleep(0.5)
        assert loop.statistics()["turns"] - before < 50
        await cancelled(connecting)


async def test_a_path_with_room_is_connected_without_a_suspension(tmp_path):
    loop = asyncio.get_running_loop()
    path = str(tmp_path / "socket")
    with unix_socket() as listener, unix_socket() as client:
        listener.bind(path)
        listener.listen(1)
        with pytest.raises(StopIteration):
            loop.sock_connect(client, path).send(None)
        assert client.getpeername() == path


async def test_a_connect_that_cannot_wait_for_room_raises():
    """EAGAIN of another family is an error: no local port, say."""

    class NoPort(socket.socket):
        def connect(self, address):
            raise BlockingIOError(11, "Resource temporarily unavailable")

    loop = asyncio.get_running_loop()
    with NoPort() as client:
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            await loop.sock_connect(client, ("127.0.0.1", 9))
