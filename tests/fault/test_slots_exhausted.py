"""More data at once than the receive pool has slots: nobody starves, nothing is lost."""

import asyncio
import contextlib
import errno
import time

import pytest
from peers import connection, io_passed, payload, unix_pair
from recording import BufferedRecorder, Recorder
from refusals import failing


@contextlib.asynccontextmanager
async def connections(count, factory=Recorder):
    async with contextlib.AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(connection(factory, unix_pair)) for _ in range(count)
        ]


@pytest.mark.parametrize("factory", [Recorder, BufferedRecorder])
@pytest.mark.parametrize("size", [100, 40_000])
async def test_five_hundred_receivers_at_once_each_get_their_data(factory, size):
    async with connections(500, factory) as made:
        for round_ in range(3):
            for number, (_, _, peer) in enumerate(made):
                peer.send(payload(size, number))
            for number, (_, protocol, _) in enumerate(made):
                received = await protocol.received((round_ + 1) * size)
                assert received == payload(size, number) * (round_ + 1)


@pytest.mark.needs("uring")
async def test_a_callback_that_makes_the_kernel_work_meanwhile_exhausts_the_pool_harmlessly():
    """Each remove_reader of a watched fd submits, and so brings completions with their slots."""
    loop = asyncio.get_running_loop()
    async with connections(400) as made:
        with contextlib.ExitStack() as stack:
            watched = [stack.enter_context(unix_pair())[0] for _ in range(100)]
            for sock in watched:
                loop.add_reader(sock, print)
            await io_passed()
            for number, (_, _, peer) in enumerate(made):
                peer.send(payload(1000, number))
            for sock in watched:
                loop.remove_reader(sock)
            if hasattr(loop, "statistics"):
                assert loop.statistics()["slots_lent"] == loop.statistics()["slots"]
        for number, (_, protocol, _) in enumerate(made):
            assert await protocol.received(1000) == payload(1000, number)


async def test_receivers_that_starve_can_be_paused_closed_and_resumed():
    loop = asyncio.get_running_loop()
    async with connections(400) as made:
        with contextlib.ExitStack() as stack:
            watched = [stack.enter_context(unix_pair())[0] for _ in range(100)]
            for sock in watched:
                loop.add_reader(sock, print)
            await io_passed()
            for number, (_, _, peer) in enumerate(made):
                peer.send(payload(1000, number))
            for sock in watched:
                loop.remove_reader(sock)
        for turn in range(3):
            for transport, _, _ in made[turn::4]:
                transport.pause_reading()
            await asyncio.sleep(0)
        for transport, _, _ in made[3::4]:
            transport.close()
        for transport, _, _ in made:
            transport.resume_reading()
        for number, (_, protocol, _) in enumerate(made):
            if number % 4 == 3:
                await protocol.lost()
            else:
                assert await protocol.received(1000) == payload(1000, number)


async def test_protocols_that_block_slow_others_down_and_no_more():
    class Blocks(Recorder):
        def data_received(self, data):
            super().data_received(data)
            time.sleep(0.0005)

    async with connections(200, Blocks) as made:
        for _ in range(3):
            for number, (_, _, peer) in enumerate(made):
                peer.send(b"%05d" % number)
        for number, (_, protocol, _) in enumerate(made):
            assert await protocol.received(15) == b"%05d" % number * 3


@pytest.mark.needs("uring")
@pytest.mark.zcloop_only
def test_receivers_that_starve_are_served_after_the_kernel_refused_their_requests(loop):
    """More of them than one submission takes, which fails."""

    class Refuses(Recorder):
        def data_received(self, data):
            if not refused:
                refused.append(stack.enter_context(failing("enter", errno.ENOMEM, times=1)))
            super().data_received(data)

    def exhaust():
        for number, (_, _, peer) in enumerate(made):
            peer.send(payload(1000, number))
        for sock in watched:
            loop.remove_reader(sock)  # submits, and so brings completions with their slots
        assert loop.statistics()["slots_lent"] == loop.statistics()["slots"]

    refused = []
    manager = connections(600, Refuses)
    made = loop.run_until_complete(manager.__aenter__())
    with contextlib.ExitStack() as stack:
        watched = [stack.enter_context(unix_pair())[0] for _ in range(100)]
        for sock in watched:
            loop.add_reader(sock, print)
        loop.run_until_complete(io_passed())
        loop.call_soon(exhaust)
        with pytest.raises(OSError, match="io_uring_enter"):
            loop.run_forever()
        for number, (_, protocol, _) in enumerate(made):
            received = loop.run_until_complete(protocol.received(1000))
            assert received == payload(1000, number)
    loop.run_until_complete(manager.__aexit__(None, None, None))


def test_a_loop_that_stops_while_some_starve_goes_on_with_them(loop):
    manager = connections(300)
    made = loop.run_until_complete(manager.__aenter__())
    for number, (_, _, peer) in enumerate(made):
        peer.send(payload(50_000, number))
    for _ in range(20):
        loop.stop()
        loop.run_forever()
    for number, (_, protocol, _) in enumerate(made):
        received = loop.run_until_complete(protocol.received(50_000))
        assert received == payload(50_000, number)
    loop.run_until_complete(manager.__aexit__(None, None, None))
