"""The collector runs in one allocation after another of what the loop does, and a finalizer acts.

Up to Python 3.11 it may run in any allocation, of native code too; from 3.12 on between bytecodes.
"""

import asyncio
import contextlib
import gc
import os
import socket
import subprocess
import sys

import pytest
from collecting import ALLOCATIONS, Final, collect_after, nothing_collected
from datagrams import arrived, endpoint, nothing_more, receiver
from lending import LeaseRecorder
from peers import PAIRS, fill, gone, io_passed, payload, receive_exactly, tcp_pair, unix_pair
from recording import DatagramRecorder, Recorder

import zcloop
from zcloop._native.transport.listener import Listener

HERE = os.path.dirname(__file__)
# The table of requests in flight grows when it is to hold one more than so many.
TABLE_SIZE = 64
SECONDS = 90
END = payload(40_000, 99)


def on_its_own(name: str) -> None:
    """Run a coroutine function of this module for some allocations, each on a new loop, in a
    process of its own whose free memory is overwritten: what is wrong there may crash it."""
    source = (
        f"import sys; sys.path[:0] = {[HERE, os.path.dirname(HERE)]!r}\n"
        "import zcloop, test_finalizers_in_the_middle as module\n"
        f"for number in range(-10, 15): zcloop.run(module.{name}(number))"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-X", "faulthandler", "-c", source],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS,
        env={**os.environ, "MALLOC_PERTURB_": "165"},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


async def slept() -> None:
    """Return when the loop has slept, and found what was there when this was called. It allocates
    next to nothing meanwhile, so that the collector runs where it is wanted."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_later(0.002, over.set_result, None)
    await over


def inflight() -> int:
    return asyncio.get_running_loop().statistics()["inflight"]


def operations() -> int:
    """Places taken in the table of requests."""
    return asyncio.get_running_loop().statistics()["operations"]


# ---- writing -------------------------------------------------------------------------------------


async def abort_while_others_are_flushed(allocations):
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack, nothing_collected():
        pairs = [stack.enter_context(unix_pair()) for _ in range(40)]
        made = [await loop.create_connection(Recorder, sock=one.dup()) for one, _ in pairs]

        def write():
            for number, (transport, _) in enumerate(made):
                transport.write(payload(100, number))
                if number % 3 == 0:
                    Final(transport.abort)
            collect_after(allocations)

        loop.call_soon(write)
        await io_passed()
        gc.collect()
        for number, (_, peer) in enumerate(pairs):
            assert peer.recv(200) == payload(100, number)
        for transport, _ in made:
            transport.abort()
            await gone(transport)


@pytest.mark.zcloop_only
@pytest.mark.seconds(SECONDS)
def test_a_finalizer_that_aborts_while_what_was_written_leaves():
    on_its_own("abort_while_others_are_flushed")


@pytest.mark.parametrize("pair", PAIRS)
async def test_a_finalizer_that_aborts_while_room_is_waited_for(pair):
    """No request is left on the socket, so that it is closed."""
    loop = asyncio.get_running_loop()
    await io_passed()
    before = inflight()
    for allocations in ALLOCATIONS:
        with PAIRS[pair]() as (ours, _), nothing_collected():
            transport, protocol = await loop.create_connection(Recorder, sock=ours)
            fill(transport.get_extra_info("socket")._sock)
            Final(transport.abort)
            collect_after(allocations)
            transport.write(bytes(100_000))
            gc.collect()
            await protocol.lost()
            await io_passed()
            assert inflight() == before, allocations
            assert ours.fileno() == -1, allocations


@pytest.mark.zcloop_only
async def test_a_finalizer_that_writes_while_a_lease_is_sent_in_place():
    """Every byte leaves once, in order."""
    loop = asyncio.get_running_loop()
    for allocations in ALLOCATIONS:
        with tcp_pair() as (ours, peer), nothing_collected():
            transport, _ = await loop.create_connection(Recorder, sock=ours)
            transport.set_zero_copy_send("always")
            view = transport.reserve(100_000)
            view[:] = payload(100_000)
            Final(lambda transport=transport: transport.write(b"after"))
            collect_after(allocations)
            transport.write(view)
            gc.collect()
            view.release()
            transport.close()
            received = await receive_exactly(peer, 300_000)
            assert received in (payload(100_000) + b"after", b"after" + payload(100_000))
            await gone(transport)


class Loop(zcloop.Loop):
    """Runs `hook` when a lease has come back to a transport that waits for that."""

    hook = None

    def call_soon_threadsafe(self, *args, **more):
        hook, self.hook = self.hook, None
        if hook is not None:
            hook()
        return super().call_soon_threadsafe(*args, **more)


@pytest.mark.zcloop_only
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("act", ["write", "abort", "force_close"])
def test_what_the_end_of_a_sent_lease_does_finds_the_queue_in_order(pair, act):
    """It comes in the middle of those that one call has sent."""

    async def send():
        await io_passed()
        before = inflight()
        with PAIRS[pair]() as (ours, peer):
            transport, protocol = await loop.create_connection(
                lambda: LeaseRecorder(keeps=True, copybreak=0, quota=2_000_000), sock=ours
            )
            whole = bytes(fill(ours))
            for number in range(300):  # each in a block of 8 KiB, more than one call sends
                view = transport.reserve(5000)
                view[:] = payload(5000, number)
                whole += view
                transport.write(view)
                view.release()
            peer.send(bytes(8000))
            await protocol.until(lambda: protocol.views)
            assert transport.lease_statistics()["pauses"] == 1
            loop.hook = {
                "write": lambda: transport.write(END),
                "abort": transport.abort,
                "force_close": lambda: transport._force_close(None),  # as asyncio's own TLS does
            }[act]
            received = bytearray()
            while loop.hook is not None or (act == "write" and len(received) < len(whole + END)):
                received += await loop.sock_recv(peer, 1 << 22)
            await io_passed()
            assert received == (whole + END)[: len(received)]
            assert act == "write" or inflight() == before
            protocol.release()
            transport.abort()
            await gone(transport)

    with asyncio.Runner(loop_factory=Loop) as runner:
        loop = runner.get_loop()
        runner.run(send())
        assert loop.hook is None


# ---- reading -------------------------------------------------------------------------------------


class Acts(Recorder):
    """Leaves garbage when it is connected, which `act` of the transport is the end of."""

    def __init__(self, act, allocations):
        super().__init__()
        self.act = act
        self.allocations = allocations

    def connection_made(self, transport):
        super().connection_made(transport)
        Final(lambda: self.act(transport))
        collect_after(self.allocations)


@pytest.mark.parametrize("pair", PAIRS)
async def test_a_finalizer_that_closes_while_reading_begins(pair):
    loop = asyncio.get_running_loop()
    await io_passed()
    before = inflight()
    for allocations in ALLOCATIONS:
        with PAIRS[pair]() as (ours, peer), nothing_collected():
            _, protocol = await loop.create_connection(
                lambda allocations=allocations: Acts(lambda it: it.close(), allocations),
                sock=ours,
            )
            gc.collect()
            await protocol.lost()
            await io_passed()
            assert inflight() == before, allocations
            assert peer.recv(1) == b""


class ActsOnDatagrams(DatagramRecorder):
    def __init__(self, act, allocations):
        super().__init__()
        self.act = act
        self.allocations = allocations

    def connection_made(self, transport):
        super().connection_made(transport)
        Final(lambda: self.act(transport))
        collect_after(self.allocations)


async def test_a_finalizer_that_closes_while_the_receiving_of_datagrams_begins():
    loop = asyncio.get_running_loop()
    await io_passed()
    before = inflight()
    for allocations in ALLOCATIONS:
        with nothing_collected():
            transport, protocol = await loop.create_datagram_endpoint(
                lambda allocations=allocations: ActsOnDatagrams(lambda it: it.close(), allocations),
                local_addr=("127.0.0.1", 0),
            )
            gc.collect()
            await protocol.lost()
            await io_passed()
            assert inflight() == before, allocations
            assert transport.get_extra_info("socket").fileno() == -1


def pause_and_resume(transport):
    transport.pause_reading()
    transport.resume_reading()


async def test_a_finalizer_that_pauses_and_resumes_while_reading_begins():
    """One request receives, and no other."""
    loop = asyncio.get_running_loop()
    await io_passed()
    before = inflight()
    for allocations in ALLOCATIONS:
        with unix_pair() as (ours, peer), nothing_collected():
            transport, protocol = await loop.create_connection(
                lambda allocations=allocations: Acts(pause_and_resume, allocations), sock=ours
            )
            gc.collect()
            await io_passed()
            assert inflight() == before + 1, allocations
            await loop.sock_sendall(peer, payload(300_000))
            assert await protocol.received(300_000) == payload(300_000)
            transport.abort()
            await protocol.lost()
            await io_passed()
            assert (loop.statistics()["slots_lent"], inflight()) == (0, before)
            assert peer.recv(1) == b""


async def exchange_the_protocol_of_a_view(allocations):
    loop = asyncio.get_running_loop()
    with unix_pair() as (ours, peer), nothing_collected():
        transport, lent = await loop.create_connection(
            lambda: LeaseRecorder(copybreak=0), sock=ours
        )
        plain = Recorder()
        plain.transport = transport
        await io_passed()

        def begin():
            peer.send(payload(8000))
            Final(lambda: transport.set_protocol(plain))
            collect_after(allocations)

        loop.call_soon(begin)
        await slept()
        await io_passed()
        assert lent.data + plain.data == payload(8000)
        gc.collect()
        transport.abort()
        await plain.lost()


@pytest.mark.zcloop_only
@pytest.mark.seconds(SECONDS)
def test_a_finalizer_that_exchanges_the_protocol_while_a_view_is_made():
    on_its_own("exchange_the_protocol_of_a_view")


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
    on_its_own("send_many_while_one_is_sent_in_place")


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
