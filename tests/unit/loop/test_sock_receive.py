"""sock_recv and its kin: what is cancelled loses no data."""

import array
import asyncio
import contextlib
import ctypes
import mmap
import socket

import pytest
from peers import io_passed, payload, reset, tcp_pair, unix_pair


async def cancelled(task):
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def started(coroutine):
    """Its task, once it waits."""
    task = asyncio.ensure_future(coroutine)
    await io_passed()
    return task


async def test_data_that_is_there_is_returned_at_once():
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        other.send(b"data")
        task = asyncio.ensure_future(loop.sock_recv(one, 2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert task.done() and task.result() == b"da"
        assert await loop.sock_recv(one, 100) == b"ta"
        other.close()
        assert await loop.sock_recv(one, 100) == b""


async def test_a_cancelled_receive_takes_nothing():
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        task = await started(loop.sock_recv(one, 100))
        await cancelled(task)
        other.send(b"data")
        await io_passed()
        assert await loop.sock_recv(one, 100) == b"data"


@pytest.mark.zcloop_only  # asyncio loses it when the task is cancelled before it wakes up
@pytest.mark.parametrize("turns", range(4))
async def test_a_receive_cancelled_just_as_data_arrives_loses_none(turns):
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        received = b""
        sent = b""
        for number in range(200):
            task = asyncio.ensure_future(loop.sock_recv(one, 100))
            await asyncio.sleep(0)
            piece = b"%d," % number
            other.send(piece)
            sent += piece
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                received += await task
        other.close()
        while piece := await loop.sock_recv(one, 100):
            received += piece
        assert received == sent


async def test_receive_into_fills_the_callers_buffer():
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        buffer = bytearray(10)
        task = await started(loop.sock_recv_into(one, memoryview(buffer)[2:6]))
        other.send(b"0123456789")
        assert await task == 4
        assert bytes(buffer) == b"\0\0" + b"0123" + bytes(4)
        task = await started(loop.sock_recv_into(one, buffer))
        assert task.done() and task.result() == 6


@pytest.mark.zcloop_only  # asyncio takes the number of items for that of bytes
@pytest.mark.parametrize(
    "make",
    [
        lambda: array.array("I", bytes(40)),
        lambda: mmap.mmap(-1, 40),
        lambda: (ctypes.c_uint16 * 20)(),
        lambda: memoryview((ctypes.c_uint32 * 10)()),
    ],
    ids=["array of words", "mmap", "ctypes", "view of ctypes"],
)
async def test_all_of_the_callers_buffer_is_filled_whatever_its_items_are(make):
    loop = asyncio.get_running_loop()
    data = bytes(range(40))
    with unix_pair() as (one, other), unix_pair(socket.SOCK_DGRAM) as (third, fourth):
        other.send(data)
        buffer = make()
        assert await loop.sock_recv_into(one, buffer) == 40
        assert memoryview(buffer).tobytes() == data
        fourth.send(data)
        buffer = make()
        assert (await loop.sock_recvfrom_into(third, buffer))[0] == 40
        assert memoryview(buffer).tobytes() == data
        fourth.send(data)
        assert (await loop.sock_recvfrom_into(third, buffer, 7))[0] == 7


async def test_recvfrom_tells_the_sender_and_loses_nothing_when_cancelled():
    loop = asyncio.get_running_loop()
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        for sock in (one, other):
            sock.bind(("127.0.0.1", 0))
            sock.setblocking(False)
        await cancelled(await started(loop.sock_recvfrom(one, 100)))
        assert await loop.sock_sendto(other, b"data", one.getsockname()) == 4
        assert await loop.sock_recvfrom(one, 100) == (b"data", other.getsockname())
        buffer = bytearray(10)
        task = await started(loop.sock_recvfrom_into(one, buffer))
        await loop.sock_sendto(other, b"into", one.getsockname())
        assert await task == (4, other.getsockname())
        assert buffer == b"into" + bytes(6)
        with pytest.raises(ValueError, match="nbytes"):
            await loop.sock_recvfrom_into(one, buffer, 100)


async def test_the_peers_reset_is_raised():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (one, other):
        task = await started(loop.sock_recv(one, 100))
        reset(other)
        with pytest.raises(ConnectionResetError):
            await task


async def test_a_socket_closed_during_a_receive_ends_it_and_frees_its_descriptor():
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        task = await started(loop.sock_recv(one, 100))
        one.close()
        assert await loop.sock_recv(other, 1) == b""
        with pytest.raises(OSError, match="Bad file descriptor"):
            await task


async def test_blocking_sockets_are_refused_in_debug_mode():
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    with unix_pair() as (one, _):
        one.setblocking(True)
        for call in (loop.sock_recv(one, 1), loop.sock_sendall(one, b"x"), loop.sock_accept(one)):
            with pytest.raises(ValueError, match="must be non-blocking"):
                await call


async def test_a_transports_socket_is_refused():
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=one)
        for call in (loop.sock_recv(one, 1), loop.sock_sendall(one, b"x" * 10_000_000)):
            with pytest.raises(RuntimeError, match="is used by transport"):
                await call
        transport.abort()
        await asyncio.sleep(0.001)
        other.close()


async def test_receiving_and_sending_on_one_socket_at_once():
    loop = asyncio.get_running_loop()
    data = payload(3_000_000)

    async def receive(sock):
        received = bytearray()
        while len(received) < len(data):
            received += await loop.sock_recv(sock, 100_000)
        return bytes(received)

    with tcp_pair() as (one, other):
        answers = await asyncio.gather(
            receive(one),
            receive(other),
            loop.sock_sendall(one, data),
            loop.sock_sendall(other, data),
        )
        assert answers[:2] == [data, data]


async def test_a_thousand_receives_wait_at_once():
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(unix_pair()) for _ in range(1000)]
        tasks = [asyncio.ensure_future(loop.sock_recv(one, 10)) for one, _ in pairs]
        await io_passed()
        for number, (_, other) in enumerate(pairs):
            other.send(b"%d" % number)
        assert await asyncio.gather(*tasks) == [b"%d" % number for number in range(1000)]
