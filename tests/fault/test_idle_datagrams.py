"""Endpoints of datagrams that wait leave the loop asleep, and their threads."""

import asyncio
import contextlib
import pathlib
import re
import socket
import tempfile
import threading

import pytest
from idleness import IDLE_SECONDS, States, keep_a_refusal, settled, udp_socket, under_way
from peers import gone
from recording import DatagramRecorder

pytestmark = pytest.mark.zcloop_only

STATES = States()


@contextlib.asynccontextmanager
async def datagrams(sock):
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(DatagramRecorder, sock=sock)
    try:
        yield transport, protocol
    finally:
        transport.abort()
        await protocol.lost()


@STATES.add
async def an_endpoint_with_a_refused_peer():
    with udp_socket() as nobody:
        address = nobody.getsockname()
    ours = udp_socket()
    ours.connect(address)
    async with datagrams(ours) as (transport, protocol):
        transport.sendto(b"x")
        await protocol.until(lambda: protocol.errors)

        async def it_receives():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
                peer.bind(address)
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                assert await protocol.received(1) == [b"x"]

        yield it_receives


@STATES.add
async def an_endpoint_with_an_error_queue():
    ours = udp_socket()
    keep_a_refusal(ours)
    async with datagrams(ours) as (transport, protocol):

        async def it_receives():
            with udp_socket() as peer:
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                assert await protocol.received(1) == [b"x"]

        yield it_receives


@STATES.add
async def an_endpoint_with_an_error_queue_where_the_kernel_has_no_multishot_receive():
    asyncio.get_running_loop().channel.has_multishot_message = False
    ours = udp_socket()
    keep_a_refusal(ours)
    async with datagrams(ours) as (transport, protocol):

        async def it_receives():
            with udp_socket() as peer:
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                assert await protocol.received(1) == [b"x"]

        yield it_receives


@STATES.add
async def an_endpoint_whose_peer_has_no_room():
    loop = asyncio.get_running_loop()
    ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    peer.setblocking(False)
    with peer:
        async with datagrams(ours) as (transport, _):
            count = 0
            while transport.get_write_buffer_size() == 0:
                transport.sendto(b"%d" % count)
                count += 1
                await asyncio.sleep(0)

            async def all_arrive():
                for number in range(count):
                    assert await loop.sock_recv(peer, 100) == b"%d" % number

            yield all_arrive


@contextlib.contextmanager
def unix_receiver():
    """A Unix socket that somebody else has sent so much that it takes no more; its name."""
    with (
        tempfile.TemporaryDirectory() as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other,
    ):
        receiver.setblocking(False)
        other.setblocking(False)
        path = f"{directory}/receiver"
        receiver.bind(path)
        with contextlib.suppress(BlockingIOError):
            while True:
                other.sendto(b"other", path)
        yield receiver, path


@STATES.add
async def an_endpoint_whose_receiver_has_no_room_for_anybody():
    loop = asyncio.get_running_loop()
    with unix_receiver() as (receiver, path):
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        async with datagrams(ours) as (transport, protocol):
            for number in range(100):
                transport.sendto(b"%d" % number, path)
            assert transport.get_write_buffer_size() > 0

            async def all_arrive():
                received = []
                while len(received) < 100:
                    data = await loop.sock_recv(receiver, 100)
                    received += [data] if data != b"other" else []
                assert received == [b"%d" % number for number in range(100)]
                assert protocol.errors == []

            yield all_arrive


@STATES.add
async def an_aborted_endpoint_whose_receiver_has_no_room():
    with unix_receiver() as (_, path):
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        async with datagrams(ours) as (transport, protocol):
            transport.sendto(b"x", path)
            await settled()
            transport.abort()
            await protocol.lost()

            async def it_is_gone():
                await gone(transport)

            yield it_is_gone


@STATES.add
async def an_endpoint_whose_receiver_without_room_closes():
    with unix_receiver() as (receiver, path):
        ours = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        async with datagrams(ours) as (transport, protocol):
            transport.sendto(b"x", path)

            async def it_is_told():
                receiver.close()
                await protocol.until(lambda: protocol.errors)
                assert isinstance(protocol.errors[0], ConnectionRefusedError)

            yield it_is_told


@STATES.add
async def sock_sendto_a_receiver_without_room():
    loop = asyncio.get_running_loop()
    with (
        unix_receiver() as (receiver, path),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours,
    ):
        ours.setblocking(False)
        async with under_way(loop.sock_sendto, ours, b"x", path) as task:

            async def it_arrives():
                while await loop.sock_recv(receiver, 100) != b"x":
                    pass
                assert await task == 1

            yield it_arrives


@STATES.add
async def an_endpoint_of_the_newest_with_an_error_queue():
    """Its thread sleeps, too: it is not woken."""
    ours = udp_socket()
    keep_a_refusal(ours)
    async with datagrams(ours) as (transport, protocol):
        transport.set_receive_policy("latest")
        await settled()
        before = switches_of_threads()
        await asyncio.sleep(IDLE_SECONDS)
        assert switches_of_threads() - before <= 2

        async def it_receives():
            with udp_socket() as peer:
                peer.sendto(b"x", transport.get_extra_info("sockname"))
                assert await protocol.received(1) == [b"x"]

        yield it_receives


def switches_of_threads():
    """How often any thread but this one has gone to sleep."""
    count = 0
    for task in pathlib.Path("/proc/self/task").iterdir():
        if int(task.name) != threading.get_native_id():
            status = (task / "status").read_text()
            count += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)[1])
    return count


@pytest.mark.parametrize("name", STATES)
async def test_the_turn_counter_stands_still_and_the_wait_ends(name):
    await STATES.check(name)
