"""What the kernel holds back of small TCP writes leaves at the end of the turn, and no later."""

import asyncio
import fcntl
import socket
import struct

import pytest
from peers import connection, receive_exactly
from recording import Recorder

pytestmark = pytest.mark.zcloop_only

SIOCOUTQNSD = 0x894B  # bytes that the socket has and has not sent


def held_back(transport):
    number = transport.get_extra_info("socket").fileno()
    return struct.unpack("i", fcntl.ioctl(number, SIOCOUTQNSD, bytes(4)))[0]


async def turn_over():
    for _ in range(2):
        await asyncio.sleep(0)


@pytest.mark.parametrize("has_push", [True, False], ids=["request", "system call"])
async def test_several_writes_of_a_turn_leave_at_its_end(has_push):
    asyncio.get_running_loop().channel.has_push = has_push
    async with connection(Recorder) as (transport, _, peer):
        transport.write(b"one")
        transport.write(b"two")
        assert held_back(transport) == len(b"two")
        await turn_over()
        assert held_back(transport) == 0
        assert await receive_exactly(peer, 6) == b"onetwo"


async def test_a_lone_write_is_not_held_back():
    async with connection(Recorder) as (transport, _, peer):
        await turn_over()
        transport.write(b"alone")
        assert held_back(transport) == 0
        assert await receive_exactly(peer, 5) == b"alone"


async def test_what_the_program_has_corked_stays_until_it_takes_the_cork_out():
    async with connection(Recorder) as (transport, _, peer):
        ours = transport.get_extra_info("socket")
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        transport.write(b"one")
        transport.write(b"two")
        await turn_over()
        assert held_back(transport) == 6
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        assert held_back(transport) == 0
        assert await receive_exactly(peer, 6) == b"onetwo"


async def test_a_cork_that_is_put_in_between_write_and_the_end_of_the_turn_stays():
    async with connection(Recorder) as (transport, _, peer):
        ours = transport.get_extra_info("socket")
        transport.write(b"one")
        transport.write(b"two")
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        await turn_over()
        assert held_back(transport) == len(b"two")
        ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
        assert await receive_exactly(peer, 6) == b"onetwo"
