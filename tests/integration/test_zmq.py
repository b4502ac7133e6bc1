"""pyzmq on the loop: each socket is an add_reader on a descriptor whose readiness is an edge.

libzmq's descriptor says "something happened", not "there is a message": it becomes unreadable when
the events are read, messages or not. A loop that forgets one wake-up, or takes the descriptor for
a stream's, stops in the middle of these tests.

Senders here stay open until everything has arrived. libzmq loses the tail of what an ipc socket
sent when that socket is closed at once: seen with blocking sockets and no loop as well, and never
with a sender that stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading

import pytest
import zmq
import zmq.asyncio

from .payloads import digest, payload


@pytest.fixture
def context():
    # The end of the context waits for its threads and closes their descriptors.
    with zmq.asyncio.Context() as context:
        yield context
        context.destroy(linger=0)


@pytest.fixture(params=["tcp", "ipc", "inproc"])
def bind(request, tmp_path):
    """A function that binds a socket to a fresh address of one transport and returns it."""
    numbers = itertools.count()

    def bind_to_new_address(sock: zmq.Socket) -> str:
        if request.param == "tcp":
            sock.bind("tcp://127.0.0.1:*")
            return sock.last_endpoint.decode()
        name = f"{tmp_path}/{next(numbers)}" if request.param == "ipc" else f"name{next(numbers)}"
        sock.bind(f"{request.param}://{name}")
        return f"{request.param}://{name}"

    return bind_to_new_address


@contextlib.asynccontextmanager
async def meanwhile(serving):
    """A task that serves for as long as the block lasts."""
    task = asyncio.create_task(serving)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_every_request_gets_its_reply(context, bind):
    async def answer(server: zmq.asyncio.Socket) -> None:
        while True:
            await server.send(b"reply to " + await server.recv())

    with context.socket(zmq.REP) as server, context.socket(zmq.REQ) as client:
        client.connect(bind(server))
        async with meanwhile(answer(server)):
            for number in range(1000):
                await client.send(b"%d" % number)
                assert await client.recv() == b"reply to %d" % number


async def test_pull_receives_every_message_of_each_pusher_in_order(context, bind):
    async def push(address: str, name: int) -> None:
        with context.socket(zmq.PUSH) as sock:
            sock.connect(address)
            for number in range(3000):
                await sock.send_multipart([b"%d" % name, b"%d" % number])
            await everything_arrived.wait()

    everything_arrived = asyncio.Event()
    with context.socket(zmq.PULL) as sink:
        address = bind(sink)
        pushing = [asyncio.create_task(push(address, name)) for name in range(3)]
        received: dict[bytes, list[int]] = {b"0": [], b"1": [], b"2": []}
        for _ in range(9000):
            name, number = await sink.recv_multipart()
            received[name].append(int(number))
        everything_arrived.set()
        await asyncio.gather(*pushing)
    assert list(received.values()) == [list(range(3000))] * 3


async def test_burst_that_was_waiting_is_received_without_another_wake_up(context, bind):
    """The edge has passed when the receiver begins: what is queued must come all the same."""
    with context.socket(zmq.PULL) as sink, context.socket(zmq.PUSH) as source:
        source.connect(bind(sink))
        for number in range(500):
            await source.send(b"%d" % number)
        assert await sink.poll(10_000) == zmq.POLLIN
        for number in range(500):
            assert await sink.recv() == b"%d" % number
            await asyncio.sleep(0)


async def test_every_subscriber_hears_what_it_subscribed_to(context, bind):
    async def hear(address: str, topic: bytes) -> list[bytes]:
        with context.socket(zmq.SUB) as sock:
            sock.set_hwm(0)
            sock.subscribe(topic)
            sock.subscribe(b"end")
            sock.connect(address)
            heard = []
            while (message := await sock.recv()) != b"end":
                heard.append(message)
            return heard

    with context.socket(zmq.XPUB) as publisher:
        publisher.set_hwm(0)
        publisher.setsockopt(zmq.XPUB_VERBOSE, 1)
        address = bind(publisher)
        listeners = [asyncio.create_task(hear(address, topic)) for topic in (b"a", b"b", b"")]
        # An XPUB socket receives the subscriptions: six of them, and nobody is late.
        for _ in range(6):
            await publisher.recv()
        for number in range(1000):
            await publisher.send(b"ab"[number % 2 : number % 2 + 1] + b"%d" % number)
        await publisher.send(b"end")
        heard = await asyncio.gather(*listeners)
    assert heard[0] == [b"a%d" % number for number in range(0, 1000, 2)]
    assert heard[1] == [b"b%d" % number for number in range(1, 1000, 2)]
    assert len(heard[2]) == 1000


async def test_router_returns_large_multipart_messages_to_their_dealers(context, bind):
    async def route(router: zmq.asyncio.Socket) -> None:
        while True:
            await router.send_multipart(await router.recv_multipart())

    async def deal(address: str, name: int) -> None:
        with context.socket(zmq.DEALER) as sock:
            sock.connect(address)
            for size in (0, 1000, 1_000_000):
                parts = [b"%d" % name, payload(size, seed=name), b""]
                await sock.send_multipart(parts)
                assert list(map(digest, await sock.recv_multipart())) == list(map(digest, parts))

    with context.socket(zmq.ROUTER) as router:
        address = bind(router)
        async with meanwhile(route(router)):
            await asyncio.gather(*(deal(address, name) for name in range(8)))


async def test_sender_above_the_high_water_mark_waits_and_loses_nothing(context, bind):
    with context.socket(zmq.PULL) as sink, context.socket(zmq.PUSH) as source:
        sink.set_hwm(1)
        source.set_hwm(1)
        source.setsockopt(zmq.SNDBUF, 4096)
        source.connect(bind(sink))
        sending = asyncio.gather(*(source.send(b"%d " % n * 10_000) for n in range(200)))
        for number in range(200):
            assert (await sink.recv()).split(b" ", 1)[0] == b"%d" % number
        await sending


async def test_poller_reports_the_sockets_that_are_ready_and_times_out(context, bind):
    with (
        context.socket(zmq.PULL) as first,
        context.socket(zmq.PULL) as second,
        context.socket(zmq.PUSH) as source,
    ):
        bind(first)
        source.connect(bind(second))
        poller = zmq.asyncio.Poller()
        poller.register(first, zmq.POLLIN)
        poller.register(second, zmq.POLLIN)
        assert await poller.poll(10) == []
        polling = asyncio.ensure_future(poller.poll(20_000))
        await source.send(b"for the second")
        assert await polling == [(second, zmq.POLLIN)]
        assert await second.recv() == b"for the second"
        assert await poller.poll(0) == []


async def test_poller_waits_for_zmq_and_plain_sockets_together(context, bind):
    plain, peer = socket.socketpair()
    with plain, peer, context.socket(zmq.PULL) as sink, context.socket(zmq.PUSH) as source:
        plain.setblocking(False)
        source.connect(bind(sink))
        poller = zmq.asyncio.Poller()
        poller.register(sink, zmq.POLLIN)
        poller.register(plain, zmq.POLLIN)
        for _ in range(20):
            polling = asyncio.ensure_future(poller.poll(20_000))
            await asyncio.sleep(0)
            peer.send(b"x")
            assert [event for _, event in await polling] == [zmq.POLLIN]
            assert plain.recv(10) == b"x"
            await source.send(b"y")
            assert dict(await poller.poll(20_000)) == {sink: zmq.POLLIN}
            assert await sink.recv() == b"y"


async def test_receive_timeout_and_cancellation_lose_no_message(context, bind):
    with context.socket(zmq.PULL) as sink, context.socket(zmq.PUSH) as source:
        source.connect(bind(sink))
        sink.setsockopt(zmq.RCVTIMEO, 10)
        with pytest.raises(zmq.Again):
            await sink.recv()
        sink.setsockopt(zmq.RCVTIMEO, -1)
        for number in range(50):
            receiving = asyncio.ensure_future(sink.recv())
            await asyncio.sleep(0)
            receiving.cancel()
            await source.send(b"%d" % number)
            assert await sink.recv() == b"%d" % number


async def test_messages_of_another_thread_wake_the_loop(context, bind):
    with context.socket(zmq.PULL) as sink:
        address = bind(sink)

        def push() -> None:
            with zmq.Context(context).socket(zmq.PUSH) as sock:
                sock.connect(address)
                for number in range(2000):
                    sock.send(b"%d" % number)
                everything_arrived.wait(20)

        everything_arrived = threading.Event()
        thread = threading.Thread(target=push)
        thread.start()
        try:
            for number in range(2000):
                assert await sink.recv() == b"%d" % number
        finally:
            everything_arrived.set()
            thread.join()
