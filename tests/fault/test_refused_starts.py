"""A loop goes on in another thread, and the kernel refuses what that needs."""

import asyncio
import contextlib
import errno
import socket
import threading

import pytest
from lending import LeaseRecorder
from peers import connection, payload, unix_pair
from recording import DatagramRecorder, Recorder
from refusals import REGISTER_BUFFER_RING, REGISTER_BUFFERS, failing

# What the kernel's ring answers is made up.
pytestmark = [pytest.mark.zcloop_only, pytest.mark.needs("uring")]


@contextlib.contextmanager
def in_use(loop):
    """A stream of each kind and an endpoint, all of them receiving; checks that they still do."""

    async def make():
        made = [
            await stack.enter_async_context(connection(factory))
            for factory in (Recorder, lambda: LeaseRecorder(keeps=True))
        ]
        endpoint = await loop.create_datagram_endpoint(
            DatagramRecorder, local_addr=("127.0.0.1", 0)
        )
        return made, endpoint

    async def check():
        nonlocal count
        count += 1
        for _, protocol, peer in streams:
            peer.send(payload(9000, count))
            assert (await protocol.received(9000 * count))[-9000:] == payload(9000, count)
        sender.sendto(b"%d" % count, address)
        assert (await protocol_of_datagrams.received(count))[-1] == b"%d" % count

    count = 0
    stack = contextlib.AsyncExitStack()
    streams, (transport, protocol_of_datagrams) = loop.run_until_complete(make())
    address = transport.get_extra_info("sockname")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        loop.run_until_complete(check())
        yield lambda: loop.run_until_complete(check())
        loop.run_until_complete(check())
    streams[1][1].release()
    transport.close()
    loop.run_until_complete(protocol_of_datagrams.lost())
    loop.run_until_complete(stack.aclose())


def in_thread(function):
    """The exception that it raised in a thread of its own, which has ended; or None."""
    raised = []

    def call():
        try:
            function()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return raised[0] if raised else None


@pytest.mark.parametrize("opcode", [REGISTER_BUFFER_RING, REGISTER_BUFFERS])
def test_without_the_registrations_the_loop_runs_as_on_a_kernel_that_has_none(loop, opcode):
    with in_use(loop) as check:
        with failing("register", errno.ENOMEM, opcode):
            assert in_thread(check) is None
        assert in_thread(check) is None


def test_without_a_ring_the_run_fails_and_the_next_works(loop):
    with in_use(loop) as check:
        for _ in range(2):
            with failing("init", errno.ENOMEM):
                error = in_thread(lambda: loop.run_until_complete(asyncio.sleep(0)))
            assert isinstance(error, OSError) and "RLIMIT_MEMLOCK" in str(error)
        assert in_thread(check) is None


@pytest.mark.parametrize("times", [1, 2, -1])
def test_a_start_that_fails_half_way_leaves_all_to_the_next(loop, times):
    """More requests than one submission takes, and the kernel refuses the submission."""
    with in_use(loop) as check, contextlib.ExitStack() as stack:
        seen = []
        watched = [stack.enter_context(unix_pair()) for _ in range(300)]
        for number, (one, _) in enumerate(watched):
            loop.add_reader(one, lambda number=number, one=one: (one.recv(1), seen.append(number)))
        loop.run_until_complete(asyncio.sleep(0.01))
        with (
            failing("enter", errno.ENOMEM, times=times),
            pytest.raises(OSError, match="io_uring_enter"),
        ):
            loop.run_until_complete(asyncio.sleep(0))
        for _, other in watched:
            other.send(b"x")
        check()
        while len(seen) < 300:
            loop.run_until_complete(asyncio.sleep(0))
        assert sorted(seen) == list(range(300))
        for one, _ in watched:
            loop.remove_reader(one)
