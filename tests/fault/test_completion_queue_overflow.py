"""More completions at once than the completion queue has entries (2,048)."""

import asyncio
import contextlib
import os
import resource
import socket

import pytest
from peers import fill, io_passed
from recording import DatagramRecorder, Recorder


@pytest.fixture(autouse=True)
def enough_descriptors():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] != resource.RLIM_INFINITY and before[1] < 12_000:
        pytest.skip("this needs 12,000 descriptors: ulimit -n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 12_000), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def eventfds(count):
    fds = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(count)]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


@pytest.mark.parametrize("armed_first", [True, False])
async def test_five_thousand_readers_that_become_ready_at_once_are_all_called(armed_first):
    loop = asyncio.get_running_loop()
    with eventfds(5000) as fds:
        done = loop.create_future()
        called = []

        def reader(fd):
            os.eventfd_read(fd)
            called.append(fd)
            loop.remove_reader(fd)
            if len(called) == len(fds):
                done.set_result(None)

        for fd in fds:
            loop.add_reader(fd, reader, fd)
        if armed_first:
            await io_passed()
        for fd in fds:
            os.eventfd_write(fd, 1)
        await done
        await asyncio.sleep(0)
        assert sorted(called) == sorted(fds)


async def test_thousands_of_datagrams_that_fail_in_one_turn_are_each_told():
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_datagram_endpoint(DatagramRecorder, local_addr=("127.0.0.1", 0))
        for _ in range(60)
    ]
    for transport, _ in made:
        for _ in range(60):
            transport.sendto(b"to no port", ("127.0.0.1", 0))
    for transport, protocol in made:
        await protocol.until(lambda protocol=protocol: len(protocol.errors) == 60)
        transport.close()
        await protocol.lost()


async def test_small_writes_of_thousands_whose_sockets_are_full_all_arrive():
    """Each send of the batch has a completion, that there is no room: none may count as sent."""
    loop = asyncio.get_running_loop()
    made = []
    for _ in range(2500):
        ours, peer = socket.socketpair()
        peer.setblocking(False)
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        made.append((transport, protocol, peer, fill(ours)))
    for number, (transport, *_) in enumerate(made):
        transport.write(b"%d" % number)
    await io_passed()
    for number, (transport, protocol, peer, taken) in enumerate(made):
        received = 0
        while received < taken:
            received += len(peer.recv(taken - received))
        assert await loop.sock_recv(peer, 100) == b"%d" % number
        transport.abort()
        peer.close()
        await protocol.lost()


async def test_thousands_of_connections_with_data_at_once_all_get_it():
    loop = asyncio.get_running_loop()
    pairs = [socket.socketpair() for _ in range(2500)]
    for number, (_, peer) in enumerate(pairs):
        peer.send(b"%d," % number * 10)
    made = await asyncio.gather(*(loop.create_connection(Recorder, sock=ours) for ours, _ in pairs))
    for number, (transport, protocol) in enumerate(made):
        wanted = b"%d," % number * 10
        assert await protocol.received(len(wanted)) == wanted
        transport.close()
    for (_, protocol), (_, peer) in zip(made, pairs, strict=True):
        await protocol.lost()
        peer.close()


async def test_thousands_of_timeouts_reads_and_cancels_in_one_turn():
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        tasks = []
        for number in range(2500):
            one, other = socket.socketpair()
            stack.callback(one.close)
            stack.callback(other.close)
            one.setblocking(False)
            tasks.append(asyncio.ensure_future(loop.sock_recv(one, 10)))
            if number % 2:
                other.send(b"x")
        await io_passed()
        for task in tasks[::2]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[1::2] == [b"x"] * 1250
    assert {type(result) for result in results[::2]} == {asyncio.CancelledError}
