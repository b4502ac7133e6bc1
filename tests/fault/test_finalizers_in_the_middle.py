"""The collector runs in one allocation after another of what a loop does, and a finalizer acts.

Up to Python 3.11 it may run in any allocation, of native code too; from 3.12 on between bytecodes.
"""

import asyncio
import contextlib
import gc
import socket

import pytest
from collecting import (
    ALLOCATIONS,
    Final,
    collect_after,
    inflight,
    nothing_collected,
    on_its_own,
    slept,
)
from datagrams import arrived, endpoint, nothing_more, receiver
from peers import io_passed, payload, tcp_pair, unix_pair
from recording import Recorder

import zcloop
from zcloop._native.transport.listener import Listener

# The table of requests in flight grows when it is to hold one more than so many.
TABLE_SIZE = 64
SECONDS = 90


def operations() -> int:
    """Places taken in the table of requests."""
    return asyncio.get_running_loop().statistics()["operations"]


# ---- datagrams -----------------------------------------------------------------------------------


async def send_many_while_one_is_sent_in_place(allocations):
    loop = asyncio.get_running_loop()
    with receiver() as peer, nothing_collected():
        address = peer.getsockname()
        async with endpoint(local_addr=("127.0.0.1", 0)) as (transport, protocol):
            transport.set_zero_copy_send("always")
            view = transport.reserve(9000)
            view[:] = payload(9000)

            def send_more():
                for _ in range(40):
                    transport.sendto(b"after", address)

            def begin():
                Final(send_more)
                collect_after(allocations)
                transport.sendto(view, address)

            loop.call_soon(begin)
            await slept()
            gc.collect()
            view.release()
            got = await arrived(peer, 41)
            assert sorted(got) == sorted([payload(9000)] + [b"after"] * 40)
            await io_passed()
            nothing_more(peer)
            assert protocol.errors == []


@pytest.mark.zcloop_only
@pytest.mark.seconds(SECONDS)
def test_a_finalizer_that_sends_while_a_datagram_is_sent_in_place():
    on_its_own(__file__, "send_many_while_one_is_sent_in_place", SECONDS)


# ---- the loop ------------------------------------------------------------------------------------


@pytest.mark.zcloop_only
def test_a_call_from_a_finalizer_while_the_loop_goes_to_sleep_wakes_it(loop_factory):
    """Of a loop whose table of requests grows then."""

    def run(size, allocations):
        loop = loop_factory()
        times = {}
        hoard = []

        def call():
            times["made"] = loop.time()
            loop.call_soon_threadsafe(lambda: times.update(run=loop.time()))

        def begin():
            Final(call)
            hoard.extend([] for _ in range(100))  # lists that are there already are not allocated
            collect_after(allocations)

        def look():
            gc.collect()
            loop.call_soon(loop.stop)

        with contextlib.ExitStack() as stack, nothing_collected():
            socks = [stack.enter_context(unix_pair())[0] for _ in range(size)]
            for sock in socks:
                loop.add_reader(sock, print)
            timer = loop.call_later(0.02, look)
            loop.call_soon(begin)
            loop.run_forever()
            for sock in socks:
                loop.remove_reader(sock)
            loop.close()
        assert times["made"] > timer.when() or times["run"] < timer.when(), (size, allocations)

    for size in (TABLE_SIZE - 1, TABLE_SIZE):
        for allocations in range(-10, 12):
            run(size, allocations)


@pytest.mark.parametrize("allocations", range(-10, 12))
async def test_a_finalizer_that_removes_a_reader_while_the_table_grows(allocations):
    """What is submitted then is not lost."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack, nothing_collected():
        spare, _ = stack.enter_context(unix_pair())
        one, other = stack.enter_context(unix_pair())
        loop.add_reader(spare, print)
        await io_passed()
        idle = []
        hoard = []
        while operations() < TABLE_SIZE:
            ours, peer = stack.enter_context(unix_pair())
            idle.append((loop.create_task(loop.sock_recv(ours, 1)), peer))
            await asyncio.sleep(0)

        async def read():
            Final(lambda: loop.remove_reader(spare))
            hoard.extend([] for _ in range(100))  # lists that are there already are not allocated
            collect_after(allocations)
            return await loop.sock_recv(one, 10)

        reading = loop.create_task(read())
        await slept()
        other.send(b"here")
        await io_passed()
        await io_passed()
        assert reading.done()
        assert await reading == b"here"
        loop.remove_reader(spare)
        for task, peer in idle:
            peer.send(b"x")
            await task


@pytest.mark.parametrize("allocations", range(-10, 12))
def test_what_a_finalizer_writes_while_the_run_ends_leaves(loop, allocations):
    """And so does what is written in the next one."""
    run = loop.run_until_complete
    with contextlib.ExitStack() as stack, nothing_collected():
        pairs = [stack.enter_context(tcp_pair()) for _ in range(2)]
        made = [run(loop.create_connection(Recorder, sock=ours)) for ours, _ in pairs]
        hoard = []

        def write(number):
            for _ in range(3):  # the kernel waits for more to come
                made[number][0].write(b"abc")

        def end():
            write(0)
            Final(lambda: write(1))
            hoard.extend([] for _ in range(100))  # lists that are there already are not allocated
            loop.stop()
            collect_after(allocations)

        loop.call_soon(end)
        loop.run_forever()
        gc.collect()
        loop.call_soon(write, 1)
        run(io_passed())
        assert [peer.recv(100) for _, peer in pairs] == [b"abc" * 3, b"abc" * 6]
        for transport, protocol in made:
            transport.abort()
            run(protocol.lost())


@pytest.mark.zcloop_only
@pytest.mark.parametrize("allocations", range(-10, 12))
async def test_a_listener_that_a_finalizer_stops_while_the_table_grows(allocations):
    """It has no request on its socket, which would keep the port."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack, nothing_collected():
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener = Listener(loop, server, print, print)
        await io_passed()
        idle = []
        hoard = []
        while operations() < TABLE_SIZE:
            ours, peer = stack.enter_context(unix_pair())
            idle.append((loop.create_task(loop.sock_recv(ours, 1)), peer))
            await asyncio.sleep(0)
        before = inflight()
        Final(listener.stop)
        hoard.extend([] for _ in range(100))  # lists that are there already are not allocated
        collect_after(allocations)
        listener.start()
        gc.collect()
        await io_passed()
        assert inflight() == before
        for task, peer in idle:
            peer.send(b"x")
            await task


async def test_a_finalizer_that_feeds_a_reader_which_is_about_to_wait():
    """The reader does not wait for what is there."""
    for allocations in ALLOCATIONS:
        reader = zcloop.StreamReader()

        async def read(reader=reader, allocations=allocations):
            Final(lambda: reader.feed_data(b"here"))
            collect_after(allocations)
            return await reader.read(10)

        with nothing_collected():
            reading = asyncio.ensure_future(read())
            await slept()
            gc.collect()
            await slept()
            assert reading.done(), allocations
            assert await reading == b"here"
