"""Sizes of more than 32 bits, in memory whose pages are nobody's until something touches them."""

import asyncio
import contextlib
import errno
import mmap
import os

import pytest
from datagrams import arrived, endpoint, nothing_more, receiver
from peers import connection, receive_exactly, tcp_pair

import zcloop

pytestmark = pytest.mark.zcloop_only

GIB = 1 << 30
RECEIVED = 8 << 20  # more than the sockets' buffers hold
CALL_MAX = 0x7FFFF000  # MAX_RW_COUNT, the most that one system call moves


@contextlib.asynccontextmanager
async def sparse(size):
    """A view of `size` bytes of a region of 8 GiB; in the end whatever sends from it has ended."""
    with zcloop.Region(8 * GIB, pinned=False) as region:
        with region.reserve(8 * GIB, zeroed=False) as view, view[:size] as part:
            yield part
        while region.leases() or asyncio.get_running_loop().statistics()["notifying"]:
            await asyncio.sleep(0)


@pytest.mark.parametrize("size", [4 * GIB, 4 * GIB + 3])
@pytest.mark.parametrize("mode", ["always", "never"])
async def test_a_lease_of_4_gib_is_written_in_pieces(size, mode):
    async with (
        sparse(size) as view,
        connection(asyncio.Protocol, tcp_pair) as (transport, _, peer),
    ):
        transport.set_zero_copy_send(mode)
        transport.write(view)
        assert await receive_exactly(peer, RECEIVED) == bytes(RECEIVED)
        assert 0 < transport.get_write_buffer_size() <= size


async def test_pieces_of_more_than_4_gib_leave_in_order():
    async with (
        sparse(3 * GIB // 2) as view,
        connection(asyncio.Protocol, tcp_pair) as (transport, _, peer),
    ):
        transport.set_zero_copy_send("never")
        transport.writelines([b"first", view, view, view, b"last"])
        assert await receive_exactly(peer, RECEIVED) == b"first".ljust(RECEIVED, b"\0")


@pytest.mark.parametrize("mode", ["always", "never"])
async def test_a_datagram_of_more_than_4_gib_is_refused_and_not_cut(mode):
    with receiver() as sock:
        async with (
            sparse(4 * GIB + 5) as view,
            endpoint(remote_addr=sock.getsockname()) as (transport, protocol),
        ):
            transport.set_zero_copy_send(mode)
            transport.set_write_buffer_limits(high=1 << 40)  # so that the turn's leave together
            transport.sendto(b"before")
            transport.sendto(view)
            transport.sendto(b"after")
            assert await arrived(sock, 2) == [b"before", b"after"]
            await protocol.until(lambda: protocol.errors)
            assert [error.errno for error in protocol.errors] == [errno.EMSGSIZE]
            nothing_more(sock)


def test_a_request_to_write_4_gib_writes_what_one_call_writes():
    with (
        mmap.mmap(-1, 4 * GIB) as memory,
        memoryview(memory) as view,
        open(os.devnull, "wb", buffering=0) as file,
        zcloop.EventChannel() as channel,
    ):
        channel.write(file, view)
        assert channel.wait(10).result == CALL_MAX
