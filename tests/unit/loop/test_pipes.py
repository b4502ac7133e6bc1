"""connect_read_pipe and connect_write_pipe."""

import asyncio
import os

import pytest
from peers import io_passed, payload, unix_pair
from recording import Recorder


class Writing(Recorder):
    """The protocol of a write pipe: it receives nothing."""


async def pipe_transports():
    loop = asyncio.get_running_loop()
    read_fd, write_fd = os.pipe()
    reading, reader = await loop.connect_read_pipe(Recorder, os.fdopen(read_fd, "rb", 0))
    writing, writer = await loop.connect_write_pipe(Writing, os.fdopen(write_fd, "wb", 0))
    return reading, reader, writing, writer


async def test_what_is_written_is_read_in_order_and_then_the_end():
    reading, reader, writing, writer = await pipe_transports()
    data = payload(1_000_000)
    for start in range(0, len(data), 50_000):
        writing.write(data[start : start + 50_000])
    writing.write_eof()
    assert await writer.lost() is None
    assert await reader.lost() is None
    assert reader.data == data and "eof_received" in reader.names
    assert reading.is_closing() and writing.is_closing()


async def test_a_paused_read_pipe_delivers_nothing_and_loses_nothing():
    reading, reader, writing, writer = await pipe_transports()
    reading.pause_reading()
    assert not reading.is_reading()
    writing.write(b"held")
    await io_passed()
    assert reader.data == b""
    reading.resume_reading()
    assert await reader.received(4) == b"held"
    reading.close()
    writing.close()
    await reader.lost()
    await writer.lost()


async def test_a_writer_learns_that_its_reader_has_gone():
    reading, reader, writing, writer = await pipe_transports()
    reading.close()
    await reader.lost()
    await writer.lost()
    assert writing.is_closing()


async def test_a_full_pipe_pauses_its_writer():
    reading, reader, writing, writer = await pipe_transports()
    reading.pause_reading()
    writing.write(bytes(1_000_000))
    assert "pause_writing" in writer.names
    reading.resume_reading()
    await reader.received(1_000_000)
    await writer.until(lambda: "resume_writing" in writer.names)
    writing.abort()
    await writer.lost()
    await reader.lost()


async def test_stream_readers_read_lines_from_a_pipe():
    loop = asyncio.get_running_loop()
    read_fd, write_fd = os.pipe()
    stream = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(read_fd, "rb", 0)
    )
    os.write(write_fd, b"one\ntwo\n")
    assert [await stream.readline(), await stream.readline()] == [b"one\n", b"two\n"]
    os.close(write_fd)
    assert await stream.read() == b""
    transport.close()
    await asyncio.sleep(0.001)


async def test_sockets_and_terminals_are_pipes_too():
    loop = asyncio.get_running_loop()
    with unix_pair() as (one, other):
        transport, protocol = await loop.connect_read_pipe(Recorder, one)
        other.send(b"x")
        assert await protocol.received(1) == b"x"
        transport.close()
        await protocol.lost()
    master, slave = os.openpty()
    transport, protocol = await loop.connect_read_pipe(Recorder, os.fdopen(slave, "rb", 0))
    os.write(master, b"typed\n")
    assert await protocol.received(6) == b"typed\n"
    transport.close()
    await protocol.lost()
    os.close(master)


async def test_regular_files_are_refused(tmp_path):
    loop = asyncio.get_running_loop()
    path = tmp_path / "file"
    with path.open("wb") as file, pytest.raises(ValueError, match="for pipes"):
        await loop.connect_write_pipe(Writing, file)
    with path.open("rb") as file, pytest.raises(ValueError, match="for pipes"):
        await loop.connect_read_pipe(Recorder, file)
