"""The reading end of a pipe: what asyncio promises of it."""

import asyncio
import contextlib
import gc
import os
import threading

import pytest
from peers import io_passed, payload, reset, tcp_pair
from pipe_ends import closed, reading_pipe
from recording import BufferedRecorder, Recorder
from waits import until


class KeepsOpen(Recorder):
    keep_open = True


@pytest.mark.parametrize("factory", [Recorder, KeepsOpen])
async def test_the_end_of_file_closes_it_whatever_eof_received_answers(factory):
    protocol = factory()
    async with reading_pipe(protocol) as (transport, writer):
        writer.write(b"last")
        writer.close()
        assert await protocol.lost() is None
        assert protocol.names[1:] == ["data_received", "eof_received", "connection_lost"]
        assert transport.is_closing() and not transport.is_reading()


async def test_the_program_finds_its_pipe_and_it_is_closed_at_the_end():
    loop = asyncio.get_running_loop()
    read_fd, write_fd = os.pipe()
    pipe = os.fdopen(read_fd, "rb", 0)
    transport, protocol = await loop.connect_read_pipe(Recorder, pipe)
    assert isinstance(transport, asyncio.ReadTransport)
    assert transport.get_extra_info("pipe") is pipe
    assert transport.get_extra_info("socket", "none") == "none"
    assert not os.get_blocking(read_fd)
    transport.close()
    assert transport.is_closing() and not protocol.is_lost and not pipe.closed
    transport.close()
    await protocol.lost()
    await closed(pipe)
    assert protocol.names == ["connection_made", "connection_lost"]
    os.close(write_fd)


async def test_large_data_from_a_busy_writer_comes_whole_and_in_order():
    protocol, data = Recorder(), payload(8_000_000)
    async with reading_pipe(protocol) as (_, writer):
        thread = threading.Thread(target=lambda: (writer.write(data), writer.close()))
        # A raw write of a blocking pipe writes all of it.
        thread.start()
        assert await protocol.lost() is None
        thread.join()
        assert protocol.data == data


async def test_a_pipe_that_is_never_empty_does_not_starve_the_loop():
    protocol = Recorder()

    def write_on():
        with contextlib.suppress(BrokenPipeError):
            while True:
                writer.write(bytes(65536))

    async with reading_pipe(protocol) as (transport, writer):
        thread = threading.Thread(target=write_on)
        thread.start()
        for _ in range(50):
            size = len(protocol.data)
            await until(lambda size=size: len(protocol.data) > size)
            await asyncio.sleep(0)
        transport.close()
        await protocol.lost()
        await until(lambda: not thread.is_alive())
        thread.join()


async def test_a_pause_in_the_middle_holds_everything_back():
    class Pausing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.pause_reading()

    protocol, data = Pausing(), payload(200_000)
    async with reading_pipe(protocol) as (transport, writer):
        thread = threading.Thread(target=lambda: (writer.write(data), writer.close()))
        thread.start()
        while not protocol.is_lost:
            count = protocol.names.count("data_received")
            if not transport.is_reading() and not transport.is_closing():
                await io_passed()
                assert protocol.names.count("data_received") == count
                transport.resume_reading()
            await asyncio.sleep(0)
        thread.join()
        assert protocol.data == data


async def test_nothing_is_delivered_after_a_close_in_a_callback():
    class Closing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            self.transport.close()

    protocol = Closing()
    async with reading_pipe(protocol) as (_, writer):
        writer.write(b"one")
        assert await protocol.lost() is None
        assert protocol.names == ["connection_made", "data_received", "connection_lost"]


async def test_a_pause_before_connection_made_is_kept():
    class Pausing(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.pause_reading()
            transport.pause_reading()

    protocol = Pausing()
    async with reading_pipe(protocol) as (transport, writer):
        writer.write(b"data")
        await io_passed()
        assert protocol.data == b""
        transport.resume_reading()
        transport.resume_reading()
        assert await protocol.received(4) == b"data"


async def test_an_exception_of_the_protocol_is_reported_and_reading_goes_on(reported):
    class Failing(Recorder):
        def data_received(self, data):
            super().data_received(data)
            if len(self.data) == 1:
                raise ZeroDivisionError

    protocol = Failing()
    async with reading_pipe(protocol) as (transport, writer):
        writer.write(b"1")
        await protocol.received(1)
        writer.write(b"2")
        assert await protocol.received(2) == b"12"
        assert not transport.is_closing()
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    reported.clear()


async def test_a_buffered_protocol_is_asked_for_data_received(reported):
    protocol = BufferedRecorder()
    async with reading_pipe(protocol) as (_, writer):
        writer.write(b"data")
        await until(lambda: reported)
    assert {type(context["exception"]) for context in reported} == {AttributeError}
    reported.clear()


async def test_the_end_of_a_terminal_is_an_error_that_nobody_need_report():
    loop = asyncio.get_running_loop()
    master, slave = os.openpty()
    transport, protocol = await loop.connect_read_pipe(Recorder, os.fdopen(master, "rb", 0))
    os.write(slave, b"typed")
    assert await protocol.received(5) == b"typed"
    os.close(slave)
    assert isinstance(await protocol.lost(), OSError)
    assert "eof_received" not in protocol.names and transport.is_closing()
    await closed(transport.get_extra_info("pipe"))


async def test_another_error_is_reported(reported):
    loop = asyncio.get_running_loop()
    with tcp_pair() as (one, other):
        _, protocol = await loop.connect_read_pipe(Recorder, one)
        await io_passed()
        reset(other)
        assert isinstance(await protocol.lost(), ConnectionResetError)
        await until(lambda: one.fileno() < 0)
    assert [type(context["exception"]) for context in reported] == [ConnectionResetError]
    assert "pipe transport" in reported.pop()["message"]


async def test_what_comes_later_goes_to_another_protocol():
    first, second = Recorder(), Recorder()
    async with reading_pipe(first) as (transport, writer):
        writer.write(b"one")
        assert await first.received(3) == b"one"
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        writer.write(b"two")
        assert await second.received(3) == b"two"
    await second.lost()
    assert first.names == ["connection_made", "data_received"]


def test_between_two_runs_the_pipe_is_the_programs(loop, runner):
    read_fd, write_fd = os.pipe()
    pipe, protocol = os.fdopen(read_fd, "rb", 0), Recorder()
    transport, _ = runner.run(loop.connect_read_pipe(lambda: protocol, pipe))
    runner.run(io_passed())
    os.write(write_fd, b"outside")
    assert pipe.read(7) == b"outside"
    os.write(write_fd, b"inside")
    assert runner.run(protocol.received(6)) == b"inside"
    transport.close()
    runner.run(closed(pipe))
    os.close(write_fd)


def test_one_that_is_forgotten_warns_and_closes_its_pipe(loop_factory):
    read_fd, write_fd = os.pipe()
    pipe = os.fdopen(read_fd, "rb", 0)

    def connect_and_forget():
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(runner.get_loop().connect_read_pipe(Recorder, pipe))
        del runner
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed transport .*ReadPipeTransport"):
        connect_and_forget()
    assert pipe.closed
    os.close(write_fd)


async def test_its_repr_says_how_it_stands():
    protocol = Recorder()
    async with reading_pipe(protocol) as (transport, _):
        fd = transport.get_extra_info("pipe").fileno()
        assert f"ReadPipeTransport fd={fd}" in repr(transport)
        transport.close()
        assert "ReadPipeTransport closing" in repr(transport)
        await protocol.lost()
        await asyncio.sleep(0)
        assert "ReadPipeTransport closed" in repr(transport)


async def test_a_child_and_its_parent_may_share_one_terminal():
    """One descriptor for both directions, as of a program that is run by a terminal."""
    loop = asyncio.get_running_loop()
    master, slave = os.openpty()
    os.set_blocking(master, False)
    reading, reader = await loop.connect_read_pipe(Recorder, os.fdopen(slave, "rb", 0))
    pipe = os.fdopen(slave, "wb", 0, closefd=False)
    writing, writer = await loop.connect_write_pipe(Recorder, pipe)
    writing.write(b"prompt")
    assert os.read(master, 100) == b"prompt"
    os.write(master, b"answer\n")
    assert await reader.received(7) == b"answer\n"
    writing.close()
    await writer.lost()
    await closed(pipe)
    reading.close()
    await closed(reading.get_extra_info("pipe"))
    os.close(master)
