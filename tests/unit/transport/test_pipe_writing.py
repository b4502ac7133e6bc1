"""The writing end of a pipe: what asyncio promises of it."""

import asyncio
import contextlib
import gc
import os
import socket

import pytest
from peers import io_passed, payload, unix_pair
from pipe_ends import closed, writing_pipe
from recording import Recorder
from waits import until

PIPE_SIZE = 65536


async def read_exactly(reader, size):
    """So many bytes of the other end, while the loop runs."""
    found = bytearray()
    while len(found) < size:
        piece = reader.read(size - len(found))
        if piece:
            found += piece
        else:
            await asyncio.sleep(0)
    return bytes(found)


async def test_it_is_a_transport_that_cannot_be_read_from():
    async with writing_pipe(Recorder()) as (transport, _):
        assert isinstance(transport, asyncio.Transport)
        for method in (transport.pause_reading, transport.resume_reading, transport.is_reading):
            with pytest.raises(NotImplementedError):
                method()


async def test_what_is_written_is_in_the_pipe_at_once():
    async with writing_pipe(Recorder()) as (transport, reader):
        assert isinstance(transport, asyncio.WriteTransport) and transport.can_write_eof()
        transport.write(b"small")
        assert reader.read() == b"small"
        transport.write(bytearray(b"a") * 10_000)
        assert reader.read() == b"a" * 10_000
        transport.write(memoryview(b"view")[2:])
        transport.writelines([b"one", bytearray(b"two"), memoryview(b"three")])
        assert reader.read() == b"ew" + b"onetwothree"
        transport.write(b"")
        assert reader.read() is None
        assert transport.get_write_buffer_size() == 0


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
async def test_every_write_is_a_message_of_its_own(kind):
    loop = asyncio.get_running_loop()
    with unix_pair(kind) as (one, other):
        transport, _ = await loop.connect_write_pipe(Recorder, one)
        for size in (1, 10, 5000):
            transport.write(bytes(size))
        assert [len(other.recv(10_000)) for _ in range(3)] == [1, 10, 5000]
        transport.close()
        await until(lambda: one.fileno() < 0)


async def test_what_does_not_fit_is_queued_and_leaves_in_order():
    protocol, data = Recorder(), payload(500_000)
    async with writing_pipe(protocol) as (transport, reader):
        for start in range(0, len(data), 50_000):
            transport.write(data[start : start + 50_000])
        assert transport.get_write_buffer_size() >= len(data) - PIPE_SIZE
        assert await read_exactly(reader, len(data)) == data
        await until(lambda: transport.get_write_buffer_size() == 0)
        assert protocol.names == ["connection_made", "pause_writing", "resume_writing"]


async def test_a_mutable_buffer_may_be_changed_while_it_is_queued():
    async with writing_pipe(Recorder()) as (transport, reader):
        transport.write(bytes(PIPE_SIZE))
        for size in (10, 100_000):
            data = bytearray(b"a") * size
            transport.write(data)
            data[:] = b"b" * size
        assert await read_exactly(reader, PIPE_SIZE + 100_010) == bytes(PIPE_SIZE) + b"a" * 100_010


async def test_its_limits_say_when_the_protocol_is_paused():
    protocol = Recorder()
    async with writing_pipe(protocol) as (transport, reader):
        assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        with pytest.raises(ValueError, match="must be >= low"):
            transport.set_write_buffer_limits(high=1, low=2)
        transport.set_write_buffer_limits(high=100)
        assert transport.get_write_buffer_limits() == (25, 100)
        transport.write(bytes(PIPE_SIZE + 100))
        assert "pause_writing" not in protocol.names
        transport.write(b"x")
        assert protocol.names[-1] == "pause_writing"
        await read_exactly(reader, PIPE_SIZE + 101)
        await protocol.until(lambda: "resume_writing" in protocol.names)


async def test_an_exception_of_pause_writing_is_reported(reported):
    class Failing(Recorder):
        def pause_writing(self):
            raise ZeroDivisionError

    async with writing_pipe(Failing()) as (transport, _):
        transport.write(bytes(PIPE_SIZE * 3))
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
    reported.clear()


@pytest.mark.parametrize("end", ["close", "write_eof"])
async def test_what_is_queued_leaves_before_the_end(end):
    protocol, data = Recorder(), payload(200_000)
    async with writing_pipe(protocol) as (transport, reader):
        transport.write(data)
        getattr(transport, end)()
        assert transport.is_closing()
        transport.write(b"ignored")
        transport.writelines([b"ignored"])
        getattr(transport, end)()
        assert await read_exactly(reader, len(data)) == data
        assert await protocol.lost() is None
        await closed(transport.get_extra_info("pipe"))
        assert reader.read() == b""


async def test_an_abort_drops_what_is_queued():
    protocol = Recorder()
    async with writing_pipe(protocol) as (transport, reader):
        transport.write(bytes(200_000))
        transport.abort()
        assert transport.get_write_buffer_size() == 0 and transport.is_closing()
        assert await protocol.lost() is None
        await closed(transport.get_extra_info("pipe"))
        assert len(reader.read()) == PIPE_SIZE


async def test_the_end_of_the_reader_closes_it():
    protocol = Recorder()
    async with writing_pipe(protocol) as (transport, reader):
        await io_passed()
        reader.close()
        assert await protocol.lost() is None
        assert transport.is_closing()


async def test_the_end_of_the_reader_is_an_error_while_something_is_queued():
    protocol = Recorder()
    async with writing_pipe(protocol) as (transport, reader):
        transport.write(bytes(200_000))
        await io_passed()
        reader.close()
        assert isinstance(await protocol.lost(), BrokenPipeError)
        assert transport.get_write_buffer_size() == 0
        assert "resume_writing" not in protocol.names


@pytest.mark.parametrize("size", [1, 100_000])
async def test_a_write_that_nobody_can_read_ends_it_with_the_error(size, caplog):
    protocol = Recorder()
    async with writing_pipe(protocol) as (transport, reader):
        reader.close()
        for _ in range(10):
            transport.write(bytes(size))
        assert transport.is_closing()
        assert isinstance(await protocol.lost(), BrokenPipeError)
        assert protocol.names == ["connection_made", "connection_lost"]
    assert "pipe closed by peer or os.write(pipe, data) raised exception." in caplog.messages


async def test_what_a_socket_receives_ends_it():
    """asyncio tells the end of a reader by it: a transport that writes has nothing to read."""
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        _, protocol = await loop.connect_write_pipe(Recorder, one)
        other.send(b"x")
        assert await protocol.lost() is None
        await until(lambda: one.fileno() < 0)


async def test_a_device_has_no_reader_that_could_end():
    loop = asyncio.get_running_loop()
    with open("/dev/null", "wb", 0) as null:
        transport, protocol = await loop.connect_write_pipe(Recorder, null)
        transport.write(bytes(1_000_000))
        await io_passed()
        assert not transport.is_closing()
        transport.close()
        assert await protocol.lost() is None
        await closed(null)


async def test_only_bytes_can_be_written():
    async with writing_pipe(Recorder()) as (transport, reader):
        for wrong in ("text", 1, None, [1]):
            with pytest.raises((AssertionError, TypeError)):
                transport.write(wrong)
        with pytest.raises(TypeError):
            transport.writelines(["text"])
        transport.write(b"right")
        assert reader.read() == b"right"


def test_one_that_is_forgotten_warns_and_closes_its_pipe(loop_factory):
    read_fd, write_fd = os.pipe()
    pipe = os.fdopen(write_fd, "wb", 0)

    def connect_and_forget():
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(runner.get_loop().connect_write_pipe(Recorder, pipe))
        del runner
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed transport .*WritePipeTransport"):
        connect_and_forget()
    assert pipe.closed
    os.close(read_fd)


async def test_its_repr_says_how_it_stands():
    protocol = Recorder()
    async with writing_pipe(protocol) as (transport, _):
        fd = transport.get_extra_info("pipe").fileno()
        assert f"WritePipeTransport fd={fd}" in repr(transport)
        transport.write(bytes(PIPE_SIZE + 5))
        transport.close()
        assert "WritePipeTransport closing" in repr(transport)
        transport.abort()
        await protocol.lost()
        await asyncio.sleep(0)
        assert "WritePipeTransport closed" in repr(transport)


async def test_a_stream_writer_drains_into_a_pipe():
    loop = asyncio.get_running_loop()
    data = payload(300_000)
    async with writing_pipe(asyncio.streams.FlowControlMixin()) as (transport, reader):
        writer = asyncio.StreamWriter(transport, transport.get_protocol(), None, loop)

        async def drain():
            writer.write(data)
            await writer.drain()

        task = asyncio.create_task(drain())
        assert await read_exactly(reader, len(data)) == data
        await task


async def test_a_write_after_the_reader_has_gone_loses_nothing_that_was_read():
    protocol = Recorder()
    async with writing_pipe(protocol) as (transport, reader):
        transport.write(b"read")
        assert reader.read() == b"read"
        reader.close()
        with contextlib.suppress(BrokenPipeError):
            transport.write(b"nobody")
        assert isinstance(await protocol.lost(), BrokenPipeError | None)
