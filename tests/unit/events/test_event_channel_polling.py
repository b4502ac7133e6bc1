"""The channel's fd wakes whoever waits for it, and again for the next event."""

import asyncio
import contextlib
import select
import threading

import pytest
from channels import PATIENCE, channel_of, next_of
from peers import script, unix_pair

import zcloop

pytestmark = pytest.mark.zcloop_only

ROUNDS = 50


@contextlib.contextmanager
def asked():
    """A channel that waits for a socket, and the peer that sends to it from another thread."""
    with channel_of() as channel, unix_pair() as (ours, peer):
        go = threading.Semaphore(0)

        def send():
            for _ in range(ROUNDS):
                go.acquire()
                peer.send(b"x")

        sender = threading.Thread(target=send)
        sender.start()

        def ask():
            channel.recv(ours, bytearray(1))
            go.release()

        yield channel, ask
        sender.join()


def test_select():
    with asked() as (channel, ask):
        for _ in range(ROUNDS):
            ask()
            assert select.select([channel], [], [], PATIENCE)[0] == [channel]
            assert channel.next_event().result == 1
            assert select.select([channel], [], [], 0)[0] == []


def test_poll():
    with asked() as (channel, ask):
        poller = select.poll()
        poller.register(channel, select.POLLIN)
        for _ in range(ROUNDS):
            ask()
            assert poller.poll(PATIENCE * 1000) == [(channel.fileno(), select.POLLIN)]
            assert channel.next_event().result == 1
            assert poller.poll(0) == []


@pytest.mark.parametrize("trigger", [0, select.EPOLLET, select.EPOLLONESHOT])
def test_epoll(trigger):
    with asked() as (channel, ask), select.epoll() as poller:
        poller.register(channel, select.EPOLLIN | trigger)
        for _ in range(ROUNDS):
            ask()
            assert poller.poll(PATIENCE) == [(channel.fileno(), select.EPOLLIN)]
            assert channel.next_event().result == 1
            assert poller.poll(0) == []
            if trigger == select.EPOLLONESHOT:
                poller.modify(channel, select.EPOLLIN | trigger)


def test_level_triggered_epoll_tells_of_what_was_left():
    with channel_of() as channel, select.epoll() as poller:
        poller.register(channel, select.EPOLLIN)
        for _ in range(3):
            channel.post()
        for _ in range(3):
            assert poller.poll(0) == [(channel.fileno(), select.EPOLLIN)]
            channel.next_event()
        assert poller.poll(0) == []


def test_edge_triggered_epoll_tells_once_and_again_for_each_arrival():
    with channel_of() as channel, select.epoll() as poller:
        poller.register(channel, select.EPOLLIN | select.EPOLLET)
        channel.post()
        assert len(poller.poll(0)) == 1
        assert poller.poll(0) == []
        channel.post()  # while the first one has not been taken
        assert len(poller.poll(0)) == 1
        assert len(list(channel.events())) == 2


def test_edge_triggered_epoll_is_woken_by_what_was_kept_beyond_the_bound():
    with channel_of(2) as channel, select.epoll() as poller:
        poller.register(channel, select.EPOLLIN | select.EPOLLET)
        for number in range(5):
            channel.post(number)
        assert len(poller.poll(0)) == 1
        seen = [event.data for event in channel.events() if event.type == "post"]
        assert seen == list(range(5))


@pytest.mark.parametrize("factory", [asyncio.SelectorEventLoop, zcloop.new_event_loop])
def test_add_reader(factory):
    async def main():
        loop = asyncio.get_running_loop()
        seen = []
        done = loop.create_future()

        def take():
            seen.append(channel.next_event())
            if len(seen) == ROUNDS:
                done.set_result(None)
            else:
                ask()

        loop.add_reader(channel, take)
        ask()
        async with asyncio.timeout(PATIENCE):
            await done
        loop.remove_reader(channel)
        assert [event.result for event in seen] == [1] * ROUNDS

    with asked() as (channel, ask), asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())


def test_trio_waits_readable():
    """In an interpreter of its own: trio has a say in those that import it."""
    output = script(
        """
        import trio, zcloop

        async def main():
            ours, peer = socket.socketpair()
            with ours, peer, zcloop.EventChannel() as channel:
                async with trio.open_nursery() as nursery:
                    for _ in range(50):
                        channel.recv(ours, bytearray(1))
                        nursery.start_soon(trio.to_thread.run_sync, peer.send, b"x")
                        with trio.fail_after(10):
                            await trio.lowlevel.wait_readable(channel)
                        print(channel.next_event().result, channel.next_event())
                trio.lowlevel.notify_closing(channel)

        trio.run(main)
        """
    )
    assert output.splitlines() == ["1 None"] * ROUNDS


def test_a_channel_is_polled_by_another():
    with channel_of() as channel, channel_of() as other:
        other.poll(channel, select.POLLIN)
        assert other.next_event() is None
        channel.post("inner")
        assert next_of(other).result == select.POLLIN
        assert channel.next_event().data == "inner"
