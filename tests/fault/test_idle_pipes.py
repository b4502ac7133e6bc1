"""Pipes, terminals and children that wait leave the loop asleep."""

import asyncio
import contextlib
import os
import pty
import sys
import termios
import tty

import pytest
from idleness import DATA, States
from peers import receive_exactly, unix_pair
from pipe_ends import closed, reading_pipe, writing_pipe
from recording import Recorder
from waits import until

pytestmark = pytest.mark.zcloop_only

STATES = States()


@STATES.add
async def a_pipe_without_data():
    protocol = Recorder()
    async with reading_pipe(protocol) as (_, writer):

        async def it_comes():
            writer.write(b"x")
            assert await protocol.received(1) == b"x"

        yield it_comes


@STATES.add
async def a_full_pipe_whose_reader_lives():
    protocol = Recorder()
    async with writing_pipe(protocol) as (transport, reader):
        transport.write(DATA)
        assert transport.get_write_buffer_size() > 0

        async def it_is_read():
            received = bytearray()
            while len(received) < len(DATA):
                received += reader.read(1 << 20) or b""
                await asyncio.sleep(0)
            assert received == DATA

        yield it_is_read


@STATES.add
async def a_full_pipe_that_is_a_socket():
    loop = asyncio.get_running_loop()
    protocol = Recorder()
    with unix_pair() as (ours, peer):
        transport, _ = await loop.connect_write_pipe(lambda: protocol, ours)
        transport.write(DATA)
        assert transport.get_write_buffer_size() > 0

        async def it_is_read():
            assert await receive_exactly(peer, len(DATA)) == DATA
            transport.close()
            await protocol.lost()

        yield it_is_read


@STATES.add
async def a_terminal_that_takes_no_more():
    loop = asyncio.get_running_loop()
    protocol = Recorder()
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    transport, _ = await loop.connect_write_pipe(lambda: protocol, os.fdopen(slave, "wb", 0))
    transport.write(DATA[:100_000])
    assert transport.get_write_buffer_size() > 0

    async def it_is_read():
        received = bytearray()
        while len(received) < 100_000:
            with contextlib.suppress(BlockingIOError):
                received += os.read(master, 65536)
            await asyncio.sleep(0)
        assert received == DATA[:100_000]
        transport.close()
        await protocol.lost()
        os.close(master)

    yield it_is_read


@STATES.add
async def a_terminal_whose_other_side_has_gone():
    loop = asyncio.get_running_loop()
    protocol = Recorder()
    master, slave = pty.openpty()
    tty.setraw(slave)
    pipe = os.fdopen(master, "wb", 0)
    transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
    transport.write(DATA)
    name = os.ttyname(slave)
    os.close(slave)
    before = transport.get_write_buffer_size()
    assert before > 0

    async def it_goes_on_with_another():
        again = os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        while transport.get_write_buffer_size() == before:
            with contextlib.suppress(BlockingIOError):
                os.read(again, 65536)
            await asyncio.sleep(0)
        transport.abort()
        await protocol.lost()
        await closed(pipe)
        os.close(again)

    yield it_goes_on_with_another


@STATES.add
async def a_terminal_that_is_stopped():
    """Ctrl-S: it takes nothing, and there is room."""
    loop = asyncio.get_running_loop()
    protocol = Recorder()
    master, slave = pty.openpty()
    tty.setraw(slave)
    os.set_blocking(master, False)
    pipe = os.fdopen(slave, "wb", 0)
    transport, _ = await loop.connect_write_pipe(lambda: protocol, pipe)
    termios.tcflow(slave, termios.TCOOFF)
    transport.write(b"x")
    assert transport.get_write_buffer_size() == 1

    async def it_goes_on():
        termios.tcflow(slave, termios.TCOON)
        await until(lambda: transport.get_write_buffer_size() == 0)
        assert os.read(master, 10) == b"x"
        transport.close()
        await protocol.lost()
        await closed(pipe)
        os.close(master)

    yield it_goes_on


@STATES.add
async def a_childs_pipe_that_a_grandchild_holds():
    """The child has ended; its own child keeps its output open until it has read something."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c",
        "import os; os.fork() and os._exit(7); os.write(1, os.read(0, 10))",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    reading = asyncio.ensure_future(process.stdout.read())
    await until(lambda: process.returncode is not None)

    async def it_ends():
        assert process.returncode == 7
        assert not reading.done()
        process.stdin.write(b"late")
        assert await reading == b"late"
        assert await process.wait() == 7

    yield it_ends


@pytest.mark.parametrize("name", STATES)
async def test_the_turn_counter_stands_still_and_the_wait_ends(name):
    await STATES.check(name)
