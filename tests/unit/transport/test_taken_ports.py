"""A port that a process still has which has just ended, or is about to end."""

import asyncio
import errno
import os
import signal
import socket

import pytest
from recording import Recorder
from siblings import listening, sibling, tell_pid


def is_taken(raised):
    return raised.value.errno == errno.EADDRINUSE and "attempting to bind" in str(raised.value)


@pytest.mark.zcloop_only  # it has no ring, whose files the kernel closes later
def test_a_port_of_a_process_that_was_killed_can_be_served_at_once(loop):
    for _ in range(10):
        with listening() as sock:
            address = sock.getsockname()
            with sibling(sock, tell_pid) as pid:
                sock.close()
                os.kill(pid, signal.SIGKILL)
        server = loop.run_until_complete(loop.create_server(Recorder, *address))
        server.close()


@pytest.mark.zcloop_only
@pytest.mark.parametrize("reuse", [None, True])
async def test_a_port_that_becomes_free_soon_is_waited_for(reuse):
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = taken.getsockname()
        loop.call_later(0.03, taken.close)
        server = await loop.create_server(Recorder, *address, reuse_address=reuse)
        assert taken.fileno() == -1
        assert [sock.getsockname() for sock in server.sockets] == [address]
    server.close()


async def test_a_port_that_stays_taken_is_an_error_that_names_it():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        start = loop.time()
        with pytest.raises(OSError) as raised:
            await loop.create_server(Recorder, *taken.getsockname())
        assert is_taken(raised)
        assert loop.time() - start < 5


async def test_nothing_is_waited_for_where_addresses_are_not_reused():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closing = loop.call_later(0.09, taken.close)  # which who waits would live to see
        with pytest.raises(OSError) as raised:
            await loop.create_server(Recorder, *taken.getsockname(), reuse_address=False)
        closing.cancel()
        assert is_taken(raised)


@pytest.mark.zcloop_only
async def test_waiting_for_a_port_ends_when_it_is_cancelled():
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        task = loop.create_task(loop.create_server(Recorder, *taken.getsockname()))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
