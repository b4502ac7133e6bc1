"""add_reader and add_writer: the loop sleeps, and calls back when there is something, or room."""

import asyncio
import contextlib
import os
import pty
import select

import pytest
from channels import channel_of
from idleness import States, half_close, settled
from peers import fill, io_passed, receive_exactly, reset, tcp_pair, unix_pair
from waits import until

pytestmark = pytest.mark.zcloop_only

STATES = States()


@contextlib.contextmanager
def watched_writer(sock):
    """A list of a call for each time that the loop has called back."""
    loop = asyncio.get_running_loop()
    calls = []
    loop.add_writer(sock, calls.append, None)
    try:
        yield calls
    finally:
        loop.remove_writer(sock)


@contextlib.asynccontextmanager
async def writer_of(pair):
    with pair() as (ours, peer):
        size = fill(ours)
        half_close(peer)
        with watched_writer(ours) as calls:
            await io_passed()

            async def it_is_called_when_there_is_room():
                assert calls == []
                await receive_exactly(peer, size)
                await until(lambda: calls)
                assert ours.send(b"x") == 1

            yield it_is_called_when_there_is_room


@STATES.add
async def a_writer_of_a_peer_that_half_closed():
    async with writer_of(tcp_pair) as ends:
        yield ends


@STATES.add
async def a_writer_of_a_unix_peer_that_half_closed():
    async with writer_of(unix_pair) as ends:
        yield ends


@STATES.add
async def a_writer_of_a_peer_that_half_closes_and_resets():
    with tcp_pair() as (ours, peer):
        fill(ours)
        half_close(peer)
        with watched_writer(ours) as calls:
            await io_passed()

            async def it_is_called():
                assert calls == []
                reset(peer)
                await until(lambda: calls)

            yield it_is_called


@STATES.add
async def a_reader_and_a_writer_of_a_peer_that_half_closed():
    """The reader, which is called for as long as there is the end of file, has gone."""
    loop = asyncio.get_running_loop()
    with tcp_pair() as (ours, peer):
        size = fill(ours)
        ended = loop.create_future()

        def read():
            if ours.recv(10) == b"":
                loop.remove_reader(ours)
                ended.set_result(None)

        loop.add_reader(ours, read)
        with watched_writer(ours) as calls:
            half_close(peer)
            await ended

            async def the_writer_is_called():
                assert calls == []
                await receive_exactly(peer, size)
                await until(lambda: calls)

            yield the_writer_is_called


@STATES.add
async def a_removed_writer_of_a_peer_that_half_closed():
    with tcp_pair() as (ours, peer):
        fill(ours)
        half_close(peer)
        with watched_writer(ours) as calls:
            await settled()
        ours.close()

        async def its_peer_hears_of_the_end():
            assert calls == []
            while await asyncio.get_running_loop().sock_recv(peer, 1 << 20):
                pass

        yield its_peer_hears_of_the_end


@STATES.add
async def readers_of_what_is_no_socket():
    """They have nothing yet: an eventfd, a pidfd, a pipe, a terminal."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        source = os.pipe()
        master, slave = pty.openpty()
        pidfd = os.pidfd_open(os.getpid())
        for fd in (*source, master, slave, pidfd):
            stack.callback(os.close, fd)
        calls = []
        for fd in (source[0], master, slave, pidfd):
            loop.add_reader(fd, calls.append, fd)
            stack.callback(loop.remove_reader, fd)

        async def one_is_called():
            assert calls == []
            os.write(source[1], b"x")
            await until(lambda: calls)
            assert set(calls) == {source[0]}

        yield one_is_called


@STATES.add
async def a_poll_of_an_event_channel_for_a_peer_that_half_closed():
    loop = asyncio.get_running_loop()
    with channel_of() as channel, tcp_pair() as (ours, peer):
        size = fill(ours)
        half_close(peer)
        events = []

        def take():
            while (event := channel.next_event()) is not None:
                events.append(event)

        loop.add_reader(channel, take)
        channel.poll(ours, select.POLLOUT)

        async def its_event_comes():
            assert events == []
            await receive_exactly(peer, size)
            await until(lambda: events)
            loop.remove_reader(channel)
            assert [event.type for event in events] == ["poll"]
            assert events[0].result & select.POLLOUT

        yield its_event_comes


@pytest.mark.parametrize("name", STATES)
async def test_the_turn_counter_stands_still_and_the_wait_ends(name):
    await STATES.check(name)
