"""What only a ring over epoll has to see to: epoll tells of an edge once, and threads block."""

import array
import asyncio
import errno
import os
import select
import socket
import time

import pytest
from channels import by_type, next_of
from peers import io_passed, unix_pair
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
        await io_passed()
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
    await io_passed()
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
        await io_passed()
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


# ---- what io_uring would answer ------------------------------------------------------------------


def datagrams():
    ours, peer = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    ours.bind(("127.0.0.1", 0))
    peer.connect(ours.getsockname())
    return ours, peer


@pytest.mark.parametrize("flags", [socket.MSG_WAITALL, socket.MSG_WAITALL | socket.MSG_TRUNC])
def test_a_datagram_is_one_and_nothing_is_written_behind_its_buffer(channel, flags):
    ours, peer = datagrams()
    with ours, peer:
        room = bytearray(b"." * 200)
        channel.recv(ours, memoryview(room)[:10], flags)
        peer.send(b"a" * 50)
        assert next_of(channel).result == (50 if flags & socket.MSG_TRUNC else 10)
        peer.send(b"b" * 80)
        assert channel.wait(0.02) is None
        assert room == b"a" * 10 + b"." * 190


def test_waitall_of_a_call_that_does_not_wait_keeps_what_it_has_taken(channel):
    with unix_pair() as (ours, peer):
        peer.send(b"abc")
        channel.recv(ours, bytearray(10), socket.MSG_WAITALL | socket.MSG_DONTWAIT)
        assert next_of(channel).result == 3


def test_a_message_in_pieces_is_waited_for_as_a_whole(channel):
    with unix_pair() as (ours, peer):
        pieces = [bytearray(2), bytearray(4)]
        channel.recvmsg(ours, pieces, 0, socket.MSG_WAITALL)
        for piece in (b"a", b"bc"):
            peer.send(piece)
            assert channel.wait(0.02) is None
        peer.send(b"def")
        assert next_of(channel).result[0] == 6
        assert pieces == [b"ab", b"cdef"]


@pytest.mark.parametrize("fd", [1_000_000, 2**31 - 1])
def test_a_descriptor_that_is_none_is_an_error_whatever_its_number(channel, fd):
    channel.poll(fd, select.POLLIN)
    assert next_of(channel).errno == errno.EBADF


def test_a_read_that_may_not_wait_ends(channel, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(1 << 20))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        channel.read(file, bytearray(1 << 20), 0, 8)  # RWF_NOWAIT
        event = next_of(channel)
        assert event.errno == errno.EAGAIN or event.result > 0


def test_a_splice_that_may_not_wait_ends(channel):
    source, into = os.pipe()
    outof, target = os.pipe()
    try:
        channel.splice(source, target, 10, flags=2)  # SPLICE_F_NONBLOCK
        assert next_of(channel).errno == errno.EAGAIN
    finally:
        for fd in (source, into, outof, target):
            os.close(fd)


def test_what_comes_for_a_reused_descriptor_is_its_new_files(channel):
    one, its_peer = socket.socketpair()
    channel.recv(one, before := bytearray(10), data="before")
    number = one.fileno()
    one.close()
    other, peer = socket.socketpair()
    with its_peer, other, peer:
        assert other.fileno() == number  # the lowest that is free
        channel.recv(other, after := bytearray(10), data="after")
        peer.send(b"for it")
        events = {event.data: event for event in (next_of(channel), next_of(channel))}
    assert events["before"].errno == errno.EBADF
    assert (before, after[:6]) == (bytearray(10), b"for it")


def test_a_poll_that_asks_for_a_turn_to_write_is_told_of_room(channel):
    with unix_pair() as (ours, _):
        channel.poll(ours, select.POLLOUT | 1 << 28)  # EPOLLEXCLUSIVE
        assert next_of(channel).result == select.POLLOUT


# ---- that nothing spins, blocks or is lost -------------------------------------------------------


def test_waiting_for_room_that_poll_does_not_tell_of_costs_nothing(channel, tmp_path):
    """A Unix datagram socket is writable, says poll, whose receiver is full."""
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer,
    ):
        peer.bind(str(tmp_path / "peer"))
        ours.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                ours.sendto(b"x", str(tmp_path / "peer"))
        channel.sendto(ours, b"last", str(tmp_path / "peer"))
        before = time.process_time()
        assert channel.wait(0.5) is None
        assert time.process_time() - before < 0.1
        while peer.recv(10) != b"last":
            pass
        assert next_of(channel).result == 4


def test_a_close_is_not_missed_by_the_thread():
    for _ in range(300):
        channel = zcloop.EventChannel(backend="epoll")
        with unix_pair() as (ours, peer):
            channel.recv(ours, bytearray(10))
            peer.send(b"x")
            channel.close()


def test_a_close_ends_an_open_that_a_thread_waits_in(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for number in range(100):
        channel = zcloop.EventChannel(backend="epoll")
        channel.open(tmp_path / "fifo")
        time.sleep(number % 3 * 0.0005)
        channel.close()


def test_a_cancel_is_not_lost_on_a_thread_that_is_about_to_wait(channel, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for number in range(500):
        opening = channel.open(tmp_path / "fifo")
        until = time.perf_counter() + number % 60 * 1e-6
        while time.perf_counter() < until:
            pass
        channel.cancel(opening)
        events = by_type(channel, 2)
        assert events["open"].errno == errno.ECANCELED
