"""Several processes on one listening socket: each gets its share, and nobody is reset or kept."""

import asyncio
import collections
import os
import socket

import pytest
from peers import io_passed
from recording import Recorder
from siblings import answer, asked, listening, shares, sibling, siblings, signals, tell_pid

CONNECTIONS = 200
# As many as the queue of a listening socket takes at first.
BURST = 80
BURSTS_MAX = 10


def least(served, pids):
    """What the process with the fewest has of its fair share."""
    return min(served[pid] for pid in pids) * len(pids) / served.total()


@pytest.mark.parametrize("count", [2, 4])
def test_each_process_gets_its_share_of_connections_that_come_one_by_one(count):
    with listening() as sock, siblings(sock, tell_pid, count) as pids:
        assert least(shares(sock.getsockname(), CONNECTIONS), pids) >= 0.5


# With one processor, who has it takes all that comes.
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
@pytest.mark.parametrize("count", [2, 4])
def test_each_process_gets_its_share_of_connections_that_come_at_once(count):
    served = collections.Counter()
    with listening() as sock, siblings(sock, tell_pid, count) as pids:
        # Of one burst, whoever has a core when it comes takes most.
        for _ in range(BURSTS_MAX):
            clients = [asked(sock.getsockname()) for _ in range(BURST)]
            served.update(map(answer, clients))
            if least(served, pids) >= 0.5:
                break
        assert least(served, pids) >= 0.5, served


def test_a_process_that_computes_holds_back_no_connection():
    async def handler(server, reader, writer):
        if await reader.readline() == b"compute\n":
            writer.write(b"%d" % os.getpid())
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            computing.say()
            over.wait()
        else:
            writer.write(b"%d" % os.getpid())

    with listening() as sock, signals(2) as (computing, over), siblings(sock, handler, 2) as pids:
        busy = answer(asked(sock.getsockname(), b"compute\n"))
        computing.wait()
        served = shares(sock.getsockname(), 50)
        assert list(served) == [pid for pid in pids if pid != busy]
        over.say()


def test_what_waits_when_a_process_closes_its_server_is_served_by_another():
    async def handler(server, reader, writer):
        text = await reader.readline()
        if text == b"close\n":
            reached.say()
            go_on.wait()
            server.close()
        writer.write(b"%d" % os.getpid())

    with listening() as sock, signals(2) as (reached, go_on), sibling(sock, handler) as closing:
        first = asked(sock.getsockname(), b"close\n")
        reached.wait()
        waiting = [asked(sock.getsockname()) for _ in range(10)]
        go_on.say()
        assert answer(first) == closing
        with sibling(sock, handler) as other:
            assert [answer(client) for client in waiting] == [other] * 10


def left_in(backlog):
    """Take what still waits in a listening socket; how many that were."""
    count = 0
    while True:
        try:
            backlog.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


async def ended(protocols):
    for protocol in protocols:
        protocol.transport.abort()
        await protocol.lost()


@pytest.mark.zcloop_only  # asyncio takes up to a hundred before it announces one
@pytest.mark.parametrize("number", [1, 2, 3, 7])
async def test_a_server_that_is_closed_while_it_accepts_takes_no_more(number):
    class Closes(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            made.append(self)
            if len(made) == number:
                server.close()

    made = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Closes, "127.0.0.1", 0)
    with server.sockets[0]._sock.dup() as other:
        clients = [socket.create_connection(other.getsockname()) for _ in range(20)]
        while server.is_serving():
            await asyncio.sleep(0)
        await io_passed()
        assert len(made) == number
        assert left_in(other) == 20 - number
    for client in clients:
        client.close()
    await ended(made)


@pytest.mark.parametrize("turns", [0, 1])
async def test_a_server_that_is_closed_leaves_what_waits_to_others(turns):
    loop = asyncio.get_running_loop()
    made = []
    server = await loop.create_server(lambda: made.append(Recorder()) or made[-1], "127.0.0.1", 0)
    await io_passed()
    with server.sockets[0]._sock.dup() as other:
        clients = [socket.create_connection(other.getsockname()) for _ in range(10)]
        for _ in range(turns):
            await asyncio.sleep(0)
        server.close()
        await io_passed()
        assert len(made) + left_in(other) == 10
    for client in clients:
        client.close()
    await ended(made)


def test_a_loop_that_does_not_run_has_taken_nothing(loop):
    made = []
    server = loop.run_until_complete(loop.create_server(Recorder, "127.0.0.1", 0))
    loop.run_until_complete(io_passed())
    with server.sockets[0]._sock.dup() as other:
        clients = [socket.create_connection(other.getsockname()) for _ in range(10)]
        assert left_in(other) == 10
        server.close()
    for client in clients:
        client.close()
    assert made == []


async def test_a_process_that_comes_too_late_for_a_connection_gets_the_next():
    made = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: made.append(Recorder()) or made[-1], "127.0.0.1", 0)
    with server.sockets[0]._sock.dup() as other:
        for _ in range(100):
            with socket.create_connection(other.getsockname()):
                other.accept()[0].close()  # the loop is told of it, and finds nothing
            await asyncio.sleep(0)
        assert made == []
        with socket.create_connection(other.getsockname()):
            while not made:
                await asyncio.sleep(0)
    server.close()
    await ended(made)


async def test_a_connection_whose_factory_closes_the_server_is_served():
    def factory():
        server.close()
        made.append(Recorder())
        return made[-1]

    made = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        client.send(b"x")
        while not made:
            await asyncio.sleep(0)
        assert await made[0].received(1) == b"x"
    await made[0].lost()


def test_a_process_forked_while_connections_are_accepted_takes_none(loop_factory):
    class Forks(asyncio.Protocol):
        def connection_made(self, transport):
            made.append(transport)
            if len(made) == first:
                pids.append(os.fork())
                made.append(transport)

    first = 3
    made, pids = [], []
    loop = loop_factory()
    server = loop.run_until_complete(loop.create_server(Forks, "127.0.0.1", 0))
    clients = [socket.create_connection(server.sockets[0].getsockname()) for _ in range(20)]

    async def served():
        while len(made) < 21:
            await asyncio.sleep(0)

    try:
        loop.run_until_complete(served())
    except RuntimeError:
        pass
    finally:
        if pids == [0]:
            os._exit(0 if len(made) == first + 1 else 1)
    assert os.waitpid(pids[0], 0)[1] == 0
    for transport in {*made}:
        transport.abort()
    server.close()
    loop.run_until_complete(asyncio.sleep(0.001))
    loop.close()
    for client in clients:
        client.close()
