"""Sockets with small buffers, on Unix the smallest there are: every write is a partial one."""

import asyncio
import contextlib
import socket

import pytest
from peers import PAIRS, connection, payload, receive_exactly
from recording import BufferedRecorder, Recorder

DATA = payload(1_500_000)
# Below a segment of loopback TCP (64 KiB) every exchange waits 40 ms for a delayed acknowledgement.
SMALL = {"tcp": 80_000, "unix": 1}


@contextlib.contextmanager
def with_buffers(pair, size):
    with pair() as (one, other):
        for sock in (one, other):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
        yield one, other


@pytest.fixture(params=PAIRS)
def small(request):
    return lambda: with_buffers(PAIRS[request.param], SMALL[request.param])


@pytest.mark.parametrize("piece", [999, 70_000, len(DATA)])
async def test_large_writes_go_out_whole_and_in_order(small, piece):
    async with connection(Recorder, small) as (transport, protocol, peer):
        receiving = asyncio.ensure_future(receive_exactly(peer, len(DATA)))
        for start in range(0, len(DATA), piece):
            transport.write(DATA[start : start + piece])
        assert transport.get_write_buffer_size() > 0
        assert await receiving == DATA
        if "pause_writing" in protocol.names:
            await protocol.until(lambda: "resume_writing" in protocol.names)


@pytest.mark.parametrize("factory", [Recorder, BufferedRecorder])
async def test_large_data_is_received_whole_and_in_order(small, factory):
    loop = asyncio.get_running_loop()
    async with connection(factory, small) as (_, protocol, peer):
        sending = asyncio.ensure_future(loop.sock_sendall(peer, DATA))
        assert await protocol.received(len(DATA)) == DATA
        await sending


async def test_a_stream_of_drained_writes_ends_in_order(small):
    with small() as (ours, peer):
        receiving = asyncio.ensure_future(receive_exactly(peer, len(DATA)))
        _, writer = await asyncio.open_connection(sock=ours)
        for start in range(0, len(DATA), 10_000):
            writer.write(DATA[start : start + 10_000])
            await writer.drain()
        assert await receiving == DATA
        writer.close()
        await writer.wait_closed()
