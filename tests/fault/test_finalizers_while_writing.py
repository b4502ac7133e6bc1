"""The collector runs in one allocation after another while a transport writes; a finalizer acts.

Up to Python 3.11 it may run in any allocation, of native code too; from 3.12 on between bytecodes.
"""

import asyncio
import contextlib
import gc

import pytest
from collecting import ALLOCATIONS, Final, collect_after, inflight, nothing_collected, on_its_own
from lending import LeaseRecorder
from peers import PAIRS, fill, gone, io_passed, payload, receive_exactly, tcp_pair, unix_pair
from recording import Recorder

import zcloop

SECONDS = 90
END = payload(40_000, 99)


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
    on_its_own(__file__, "abort_while_others_are_flushed", SECONDS)


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
