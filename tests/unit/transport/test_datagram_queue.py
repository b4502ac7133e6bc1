"""Datagrams that wait for room: a connected Unix receiver that does not read lets few in."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from datagrams import arrived, endpoint, nothing_more

HEADER_SIZE = 8
COUNT = 100  # more than a queue has room for at first, several times


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "receiver")


@contextlib.contextmanager
def full_receiver(path: str) -> Iterator[tuple[socket.socket, int]]:
    """A Unix socket with no more room, and how many datagrams are in it."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(path)
        receiver.setblocking(False)
        sender.setblocking(False)
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                sender.sendto(b"before", path)
                count += 1
        yield receiver, count


@contextlib.asynccontextmanager
async def queueing(
    path: str,
) -> AsyncIterator[tuple[asyncio.DatagramTransport, socket.socket, int]]:
    """An endpoint whose datagrams wait, its receiver, and how many are before them."""
    with full_receiver(path) as (receiver, before):
        async with endpoint(family=socket.AF_UNIX, remote_addr=path) as (transport, _):
            yield transport, receiver, before


async def test_a_datagram_that_waits_counts_its_payload_and_a_header(path):
    async with queueing(path) as (transport, _, _):
        transport.sendto(b"12345")
        assert transport.get_write_buffer_size() == 5 + HEADER_SIZE
        transport.sendto(bytes(100))
        assert transport.get_write_buffer_size() == 105 + 2 * HEADER_SIZE


async def test_all_that_wait_leave_in_order_once_there_is_room(path):
    async with queueing(path) as (transport, receiver, before):
        sent = [b"%d" % number for number in range(COUNT)]
        for data in sent[:10]:
            transport.sendto(data)
        transport.sendto_many(sent[10:])
        assert transport.get_write_buffer_size() > COUNT * HEADER_SIZE
        assert await arrived(receiver, before) == [b"before"] * before
        assert await arrived(receiver, COUNT) == sent
        nothing_more(receiver)
        assert transport.get_write_buffer_size() == 0


async def test_an_abort_gives_up_what_waits(path):
    async with queueing(path) as (transport, receiver, before):
        transport.sendto_many([b"never"] * COUNT)
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        assert await arrived(receiver, before) == [b"before"] * before
        nothing_more(receiver)


@pytest.mark.zcloop_only
async def test_a_lease_that_waits_is_held_until_its_datagram_has_left(path):
    async with queueing(path) as (transport, receiver, before):
        view = transport.reserve(2000)
        lender = transport._stream.lender
        transport.sendto(view)
        view.release()
        assert lender.account.leases == 1
        await arrived(receiver, before)
        assert await arrived(receiver, 1) == [bytes(2000)]
        assert lender.account.leases == 0
