"""What only a ring over epoll has to see to: epoll tells of an edge once, and threads block."""

import array
import asyncio
import errno
import os
import socket

import pytest
from channels import by_type, next_of
from peers import unix_pair
from recording import Recorder

import zcloop
from zcloop import requests

pytestmark = pytest.mark.zcloop_only


@pytest.fixture
def loop_factory():
    return lambda: zcloop.new_event_loop(backend="epoll")


@pytest.fixture
def channel():
    with zcloop.EventChannel(1024, backend="epoll") as channel:
        yield channel


async def test_what_comes_behind_descriptors_is_received():
    """A Unix socket gives less than was asked for where descriptors came along, and tells no more
    of what is behind them."""
    loop = asyncio.get_running_loop()
    ours, peer = socket.socketpair()
    with peer:
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        await asyncio.sleep(0.01)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [peer.fileno()]))]
        transport.pause_reading()
        await asyncio.sleep(0)
        peer.sendmsg([b"one"], rights)
        peer.send(b"two")
        peer.sendmsg([b"three"], rights)
        peer.send(b"four")
        transport.resume_reading()
        assert await asyncio.wait_for(protocol.received(15), 5) == b"onetwothreefour"
        transport.close()
        await protocol.lost()


async def test_what_comes_behind_urgent_data_is_received():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with peer:
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        transport.pause_reading()
        await asyncio.sleep(0)
        peer.send(b"before")
        peer.send(b"!", socket.MSG_OOB)
        peer.send(b"behind")
        transport.resume_reading()
        assert await asyncio.wait_for(protocol.received(12), 5) == b"beforebehind"
        transport.close()
        await protocol.lost()


async def test_more_connections_than_slots_are_all_served():
    loop = asyncio.get_running_loop()
    pairs = [socket.socketpair() for _ in range(500)]
    made = [await loop.create_connection(Recorder, sock=ours) for ours, _ in pairs]
    await asyncio.sleep(0.01)
    for _ in range(3):
        for _, peer in pairs:
            peer.send(b"x")
    for _, protocol in made:
        assert await asyncio.wait_for(protocol.received(3), 5) == b"xxx"
    for transport, _ in made:
        transport.close()
    for (_, protocol), (_, peer) in zip(made, pairs, strict=True):
        await protocol.lost()
        peer.close()


async def test_a_loop_that_is_never_idle_hears_of_what_comes():
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, peer):
        seen = []
        loop.add_reader(ours, seen.append, 1)
        peer.send(b"x")
        before = loop.time()
        while not seen:
            await asyncio.sleep(0)
        assert loop.time() - before < 1
        loop.remove_reader(ours)


async def test_callbacks_that_take_long_do_not_hide_what_comes():
    """It is asked between each two of them."""
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, peer):
        seen = []
        loop.add_reader(ours, seen.append, 1)
        peer.send(b"x")
        for _ in range(5):
            until = loop.time() + 0.001
            while loop.time() < until:
                pass
            await asyncio.sleep(0)
        assert seen
        loop.remove_reader(ours)


async def test_a_closed_and_reused_descriptor_is_another_file():
    loop = asyncio.get_running_loop()
    for number in range(5):
        ours, peer = socket.socketpair()
        ours.setblocking(False)
        waiting = asyncio.create_task(loop.sock_recv(ours, 1))
        await asyncio.sleep(0.001)
        peer.send(b"%d" % number)
        assert await asyncio.wait_for(waiting, 5) == b"%d" % number
        ours.close()  # the registration is not taken out: the next one has the same number
        peer.close()


def test_a_long_chain_runs_to_its_end(channel):
    """On a thread whose stack is small."""
    batch = [requests.timeout(0) for _ in range(1000)]
    channel.submit(batch, mode="linked")
    assert [next_of(channel).errno for _ in batch] == [0] * 1000


def test_a_long_chain_that_breaks_ends_at_once(channel):
    with unix_pair() as (ours, peer):
        peer.close()
        batch = [requests.send(ours, b"x")] + [requests.timeout(100) for _ in range(999)]
        channel.submit(batch, mode="linked")
        numbers = [next_of(channel).errno for _ in batch]
    assert numbers == [errno.EPIPE] + [errno.ECANCELED] * 999


def test_the_open_of_a_fifo_that_nobody_opens_can_be_cancelled(channel, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    opening = channel.open(tmp_path / "fifo")
    assert channel.wait(0.05) is None
    channel.cancel(opening)
    events = by_type(channel, 2)
    assert events["open"].errno == errno.ECANCELED
    assert events["cancel"].errno in (0, errno.EALREADY)


def test_more_opens_wait_than_a_pool_has_threads(channel, tmp_path):
    """They end with the channel, and keep nothing."""
    os.mkfifo(tmp_path / "fifo")
    for _ in range(100):
        channel.open(tmp_path / "fifo")
    assert channel.wait(0.05) is None


def test_sockets_that_block_are_waited_for_and_block_as_before(channel):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(True)
        channel.accept(listener)
        assert channel.wait(0.02) is None
        with socket.socket() as peer:
            channel.connect(peer, listener.getsockname())
            events = by_type(channel, 2)
            assert events["connect"].result == 0
            with socket.socket(fileno=events["accept"].result) as ours:
                channel.recv(ours, buffer := bytearray(8))
                assert channel.wait(0.02) is None
                peer.send(b"x")
                assert next_of(channel).result == 1
                assert buffer[:1] == b"x"
                assert os.get_blocking(listener.fileno())
                assert os.get_blocking(peer.fileno())


def test_msg_waitall_is_waited_for_in_pieces(channel):
    with unix_pair() as (ours, peer):
        channel.recv(ours, buffer := bytearray(6), socket.MSG_WAITALL)
        for piece in (b"ab", b"cd"):
            peer.send(piece)
            assert channel.wait(0.02) is None
        peer.send(b"ef")
        assert next_of(channel).result == 6
        assert bytes(buffer) == b"abcdef"
        cancelled = channel.recv(ours, bytearray(6), socket.MSG_WAITALL)
        peer.send(b"gh")
        assert channel.wait(0.02) is None
        channel.cancel(cancelled)
        assert by_type(channel, 2)["recv"].result == 2  # what was taken is told


def test_pipes_that_block_do_not_keep_the_channel(channel):
    reader, writer = os.pipe()
    try:
        while True:
            os.set_blocking(writer, False)
            try:
                os.write(writer, bytes(65536))
            except BlockingIOError:
                break
        os.set_blocking(writer, True)
        channel.write(writer, bytes(10))
        channel.read(reader, bytearray(1 << 20))
        channel.post()
        events = by_type(channel, 3)
        assert events["read"].result > 0
        assert events["write"].result == 10
        assert os.get_blocking(writer)
    finally:
        os.close(reader)
        os.close(writer)
