"""A wait for room of a peer that half closed is as any other: between runs, at its end, forked."""

import asyncio
import contextlib
import errno
import os
import pathlib
import select
import socket

import pytest
from channels import channel_of, is_readable, next_of
from idleness import MSG_ERRQUEUE, SO_TIMESTAMPING, TIMESTAMPS
from peers import fill, io_passed, receive_all, receive_exactly, reset, script, tcp_pair, unix_pair
from pipe_ends import reading_pipe
from recording import Recorder
from waits import until

import zcloop
from zcloop import requests

pytestmark = pytest.mark.zcloop_only

PAIRS = {"tcp": tcp_pair, "unix": unix_pair}
TOO_MUCH = bytes(1 << 25)


@contextlib.contextmanager
def full_and_half_closed(pair=tcp_pair):
    """A socket without room, its peer, which sends no more, and how many bytes are on their way."""
    with pair() as (ours, peer):
        size = fill(ours)
        peer.shutdown(socket.SHUT_WR)
        yield ours, peer, size


def drain(sock):
    with contextlib.suppress(BlockingIOError):
        while sock.recv(1 << 20):
            pass


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_writer_hears_in_the_next_run_of_room_that_came_between_two(loop, pair):
    with full_and_half_closed(pair) as (ours, peer, _):
        calls = []
        loop.add_writer(ours, calls.append, None)
        loop.run_until_complete(io_passed())
        loop.run_until_complete(io_passed())
        assert calls == []
        drain(peer)
        loop.run_until_complete(until(lambda: calls))
        loop.remove_writer(ours)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_a_loop_closes_with_waits_of_all_kinds_in_flight(loop_factory, pair):
    with (
        full_and_half_closed(pair) as (ours, _, _),
        full_and_half_closed(pair) as (other, other_peer, _),
        full_and_half_closed(pair) as (third, third_peer, _),
    ):
        loop = loop_factory()

        async def main():
            loop.add_writer(ours, print)
            transport, _ = await loop.create_connection(Recorder, sock=third)
            transport.write(b"x")
            task = loop.create_task(loop.sock_sendall(other, b"x"))
            await io_passed()
            return transport, task

        transport, task = loop.run_until_complete(main())
        transport.abort()
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.run_until_complete(io_passed())
        loop.close()
        assert loop.statistics()["operations"] == 0
        other.close()
        for peer in (other_peer, third_peer):
            drain(peer)


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
async def test_a_cancelled_sendall_lets_go_of_the_socket_at_once(pair):
    loop = asyncio.get_running_loop()
    with full_and_half_closed(pair) as (ours, peer, size):
        await io_passed()
        before = loop.statistics()["operations"]
        task = asyncio.ensure_future(loop.sock_sendall(ours, TOO_MUCH))
        await io_passed()
        assert not task.done()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        ours.close()
        assert size <= len(await receive_all(peer)) < len(TOO_MUCH)
        assert loop.statistics()["operations"] <= before


@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
async def test_a_socket_closed_under_a_writer_is_seen_to_close_by_its_peer(pair):
    loop = asyncio.get_running_loop()
    with full_and_half_closed(pair) as (ours, peer, size):
        loop.add_writer(ours, print)
        await io_passed()
        number = ours.fileno()
        ours.close()
        assert await receive_exactly(peer, size + 1) == bytes(size)
        loop.remove_writer(number)


async def test_a_socket_closed_under_a_sendall_ends_it():
    loop = asyncio.get_running_loop()
    with full_and_half_closed() as (ours, peer, size):
        task = asyncio.ensure_future(loop.sock_sendall(ours, TOO_MUCH))
        await io_passed()
        ours.close()
        with pytest.raises(OSError) as caught:
            await task
        assert caught.value.errno == errno.EBADF
        assert size <= len(await receive_all(peer)) < len(TOO_MUCH)


async def test_room_and_no_room_by_turns_wake_a_writer_each_time():
    loop = asyncio.get_running_loop()
    with full_and_half_closed() as (ours, peer, _):
        calls = []
        loop.add_writer(ours, calls.append, None)
        for _ in range(50):
            await io_passed()
            assert calls == []
            drain(peer)
            await until(lambda: calls)
            fill(ours)
            await io_passed()
            fill(ours)  # what the kernel made room for meanwhile
            calls.clear()
        loop.remove_writer(ours)


async def test_a_sendall_to_a_peer_that_reads_seldom_loses_nothing():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, peer):
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        peer.shutdown(socket.SHUT_WR)
        data = os.urandom(20_000_000)
        sending = asyncio.ensure_future(loop.sock_sendall(ours, data))
        assert await receive_exactly(peer, len(data)) == data
        await sending


async def test_a_reader_is_called_for_what_is_in_the_error_queue_as_by_epoll():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, _):
        ours.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPING, TIMESTAMPS)
        taken = []
        loop.add_reader(ours, lambda: taken.append(ours.recvmsg(100, 1000, MSG_ERRQUEUE)))
        for count in range(1, 20):
            ours.send(b"x")
            await until(lambda count=count: len(taken) == count)
        await io_passed()
        assert len(taken) == 19
        loop.remove_reader(ours)


def test_a_child_forked_meanwhile_leaves_the_wait_to_its_parent():
    said = script(
        """
        sys.path.insert(0, sys.argv[1])
        from peers import tcp_pair, fill, io_passed
        from waits import until

        async def main():
            with tcp_pair() as (ours, peer):
                fill(ours)
                peer.shutdown(socket.SHUT_WR)
                calls = []
                loop.add_writer(ours, calls.append, None)
                await io_passed()
                pid = os.fork()
                if pid == 0:
                    try:
                        loop._run_once()
                    except RuntimeError:
                        os._exit(7)
                    os._exit(1)
                print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                await io_passed()
                print(calls)
                try:
                    while True:
                        peer.recv(1 << 20)
                except BlockingIOError:
                    pass
                await until(lambda: calls)
                loop.remove_writer(ours)

        loop = new_event_loop()
        loop.run_until_complete(main())
        loop.close()
        """,
        str(pathlib.Path(__file__).parents[1] / "helpers"),
    )
    assert said == "7\n[]\n"


# ---- an event channel ----------------------------------------------------------------------------


def test_a_poll_for_room_has_no_event_before_there_is_room():
    with channel_of() as channel, full_and_half_closed() as (ours, peer, _):
        channel.poll(ours, select.POLLOUT, data="room")
        for _ in range(5):
            assert channel.next_event() is None
        calls = channel.statistics()["system_calls"]
        assert not is_readable(channel)
        assert channel.wait(0.2) is None
        assert channel.statistics()["system_calls"] - calls <= 2
        drain(peer)
        event = next_of(channel)
        assert (event.type, event.data, event.errno) == ("poll", "room", 0)
        assert event.result & select.POLLOUT


def test_a_poll_for_room_ends_with_a_reset():
    with channel_of() as channel, full_and_half_closed() as (ours, peer, _):
        channel.poll(ours, select.POLLOUT)
        assert channel.next_event() is None
        reset(peer)
        assert next_of(channel).result & select.POLLERR


def test_a_poll_that_asks_for_the_half_close_is_told_of_it():
    with channel_of() as channel, full_and_half_closed() as (ours, _, _):
        channel.poll(ours, select.POLLOUT | select.POLLRDHUP)
        assert next_of(channel).result == select.POLLRDHUP


def test_a_poll_that_waits_for_room_can_be_cancelled():
    with channel_of() as channel, full_and_half_closed() as (ours, _, _):
        asked = channel.poll(ours, select.POLLOUT)
        assert channel.next_event() is None
        channel.cancel(asked)
        events = {event.type: event.errno for event in (next_of(channel), next_of(channel))}
        assert events == {"cancel": 0, "poll": errno.ECANCELED}


def test_a_channel_closes_while_a_poll_waits_for_room():
    with zcloop.EventChannel() as channel, full_and_half_closed() as (ours, peer, size):
        channel.poll(ours, select.POLLOUT)
        assert channel.next_event() is None
        channel.close()
        ours.close()
        received = 0
        peer.setblocking(True)
        while piece := peer.recv(1 << 20):
            received += len(piece)
        assert received == size


@pytest.mark.needs("uring")
def test_a_linked_poll_says_what_the_kernel_went_on_with():
    """What is linked to it runs when the kernel's poll ends, so this cannot be waited out."""
    with channel_of() as channel, full_and_half_closed() as (ours, _, _):
        batch = [requests.poll(ours, select.POLLOUT), requests.timeout(0)]
        channel.submit(batch, mode="linked")
        assert next_of(channel).result == select.POLLRDHUP
        assert next_of(channel).type == "timeout"


async def test_a_hang_up_that_came_while_the_reader_was_paused_is_told_when_it_resumes():
    class Pausing(Recorder):
        def data_received(self, data):
            other.pause_reading()
            super().data_received(data)

    # Both have completed when the loop looks. A kernel may tell the last one first, as 6.1 does.
    came_paused = []
    for is_written_first in (True, False):
        pausing, ended = Pausing(), Recorder()
        async with reading_pipe(ended) as (other, writer), reading_pipe(pausing) as (_, first):
            await io_passed()
            if is_written_first:
                first.write(b"x")
            writer.close()
            if not is_written_first:
                first.write(b"x")
            await pausing.received(1)
            await io_passed()
            came_paused.append("eof_received" not in ended.names)
            other.resume_reading()
            await ended.lost()
            assert ended.names[-2:] == ["eof_received", "connection_lost"]
    assert any(came_paused)
