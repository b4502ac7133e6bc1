"""sock_connect, sock_accept, sock_sendall."""

import array
import asyncio
import contextlib
import ctypes
import errno
import socket

import pytest
from peers import fill, io_passed, payload, receive_exactly, unix_pair


@contextlib.contextmanager
def listening():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def tcp_socket():
    sock = socket.socket()
    sock.setblocking(False)
    return sock


async def test_connect_and_accept_make_a_connection():
    loop = asyncio.get_running_loop()
    with listening() as listener, tcp_socket() as client:
        accepting = asyncio.ensure_future(loop.sock_accept(listener))
        await io_passed()
        await loop.sock_connect(client, listener.getsockname())
        accepted, address = await accepting
        with accepted:
            assert address == client.getsockname()
            assert accepted.gettimeout() == 0 and not accepted.get_inheritable()
            await loop.sock_sendall(client, b"x")
            assert await loop.sock_recv(accepted, 10) == b"x"


async def test_a_refused_connect_raises_and_leaves_nothing():
    loop = asyncio.get_running_loop()
    with tcp_socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = unused.getsockname()
    for _ in range(20):
        with tcp_socket() as client:
            with pytest.raises(ConnectionRefusedError) as caught:
                await loop.sock_connect(client, address)
            assert caught.value.errno == errno.ECONNREFUSED


async def test_a_unix_path_that_is_not_there_raises(tmp_path):
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        with pytest.raises(FileNotFoundError):
            await loop.sock_connect(client, str(tmp_path / "nothing"))


async def test_a_connect_can_be_cancelled():
    loop = asyncio.get_running_loop()
    # A listener whose backlog is full answers no more: the connect waits.
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        tasks = []
        for _ in range(4):
            client = stack.enter_context(tcp_socket())
            tasks.append(asyncio.ensure_future(loop.sock_connect(client, listener.getsockname())))
        await io_passed()
        assert not all(task.done() for task in tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.zcloop_only  # asyncio loses it when the task is cancelled before it wakes up
@pytest.mark.parametrize("turns", range(3))
async def test_cancelling_accept_loses_no_connection(turns):
    loop = asyncio.get_running_loop()
    with listening() as listener, contextlib.ExitStack() as stack:
        accepted = set()
        clients = set()
        for _ in range(50):
            task = asyncio.ensure_future(loop.sock_accept(listener))
            await asyncio.sleep(0)
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            clients.add(client.getsockname())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                sock, address = await task
                stack.enter_context(sock)
                accepted.add(address)
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, address = listener.accept()
                stack.enter_context(sock)
                accepted.add(address)
        assert accepted == clients


async def test_sendall_sends_all_of_a_large_buffer():
    loop = asyncio.get_running_loop()
    data = payload(20_000_000)
    with unix_pair() as (one, other):
        receiving = asyncio.ensure_future(receive_exactly(other, len(data)))
        assert await loop.sock_sendall(one, memoryview(data)) is None
        assert await receiving == data


@pytest.mark.zcloop_only  # asyncio refuses the first, and loses its count in the others
async def test_sendall_sends_the_bytes_of_any_view():
    loop = asyncio.get_running_loop()
    words = array.array("I", range(500_000))
    for view in (
        memoryview(words)[::2],
        memoryview(words),
        memoryview((ctypes.c_uint32 * 500_000)(*words)),
    ):
        with unix_pair() as (one, other):
            receiving = asyncio.ensure_future(receive_exactly(other, view.nbytes))
            await loop.sock_sendall(one, view)
            assert await receiving == view.tobytes()


async def test_sendall_to_a_closed_peer_raises():
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        fill(one)
        task = asyncio.ensure_future(loop.sock_sendall(one, b"x"))
        await io_passed()
        other.close()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            await task


async def test_a_cancelled_sendall_stops_watching_the_socket():
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        taken = fill(one)
        task = asyncio.ensure_future(loop.sock_sendall(one, b"never"))
        await io_passed()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.remove_writer(one) is False
        await receive_exactly(other, taken)
        await loop.sock_sendall(one, b"next")
        assert await receive_exactly(other, 4) == b"next"


async def test_create_connection_tries_every_address():
    loop = asyncio.get_running_loop()
    with tcp_socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refused = unused.getsockname()
    with pytest.raises(OSError, match="Connect call failed"):
        await loop.create_connection(asyncio.Protocol, *refused)
    with pytest.raises(OSError):
        await loop.create_connection(asyncio.Protocol, *refused, happy_eyeballs_delay=0.01)
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    async with server:
        # localhost may mean ::1 first, where nobody listens.
        transport, _ = await loop.create_connection(
            asyncio.Protocol, "localhost", server.sockets[0].getsockname()[1],
            happy_eyeballs_delay=0.01,
        )  # fmt: skip
        transport.close()
        await asyncio.sleep(0.001)


async def test_getaddrinfo_and_getnameinfo_answer():
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
    assert found[0][4] == ("127.0.0.1", 80)
    host, port = await loop.getnameinfo(
        ("127.0.0.1", 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV
    )
    assert (host, port) == ("127.0.0.1", "80")
