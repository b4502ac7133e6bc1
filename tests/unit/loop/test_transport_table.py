"""Which transport has which fd, as the loop knows it."""

import asyncio
import contextlib
import fcntl
import socket

import pytest
from peers import connection, tcp_pair
from recording import Recorder

pytestmark = pytest.mark.zcloop_only
HIGH_FD = 300  # beyond the table's first size, which is twice a low fd and 64


def fd_of(transport):
    return transport.get_extra_info("socket").fileno()


@contextlib.contextmanager
def pair_of_high_fd():
    with tcp_pair() as (ours, peer):
        fd = fcntl.fcntl(ours, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
        with socket.socket(fileno=fd) as high:
            high.setblocking(False)
            yield high, peer


async def test_an_fd_has_its_transport_until_it_is_closed():
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, protocol, _):
        fd = fd_of(transport)
        assert loop.transport_of(fd).face is transport
        assert [one.face for one in loop.native_transports()] == [transport]
        transport.close()
        await protocol.until(lambda: protocol.is_lost)
        assert loop.transport_of(fd) is None
        assert loop.native_transports() == []


@pytest.mark.parametrize("fd", [-1, -(1 << 31), 1 << 20, (1 << 31) - 1])
def test_what_is_no_transports_fd_has_none(loop, fd):
    assert loop.transport_of(fd) is None


async def test_the_table_grows_to_a_high_fd_and_keeps_the_low_ones():
    loop = asyncio.get_running_loop()
    async with (
        connection(Recorder) as (low, _, _),
        connection(Recorder, pair_of_high_fd) as (high, _, _),
    ):
        assert fd_of(high) >= HIGH_FD
        assert loop.transport_of(fd_of(high)).face is high
        assert loop.transport_of(fd_of(low)).face is low
