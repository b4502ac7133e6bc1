"""What add_reader and add_writer take, and what they refuse."""

import asyncio
import os

import pytest
from peers import io_passed, unix_pair
from recording import Recorder


@pytest.fixture
def pair():
    with unix_pair() as pair:
        yield pair


async def test_pipes_eventfds_and_ptys_can_be_watched():
    loop = asyncio.get_running_loop()
    read, write = os.pipe()
    master, slave = os.openpty()
    event = os.eventfd(0)
    try:
        for readable, writable in ((read, write), (master, slave), (event, event)):
            seen = loop.create_future()
            loop.add_reader(readable, lambda seen=seen: seen.done() or seen.set_result(None))
            await io_passed()
            assert not seen.done()
            os.write(writable, bytes([1, 0, 0, 0, 0, 0, 0, 0]))
            await seen
            loop.remove_reader(readable)
    finally:
        for fd in (read, write, master, slave, event):
            os.close(fd)


@pytest.mark.parametrize("kind", ["file", "directory"])
async def test_regular_files_are_refused(tmp_path, kind):
    loop = asyncio.get_running_loop()
    path = tmp_path / "file"
    path.write_bytes(b"x")
    fd = os.open(path if kind == "file" else tmp_path, os.O_RDONLY)
    try:
        for add in (loop.add_reader, loop.add_writer):
            with pytest.raises(PermissionError):
                add(fd, print)
        assert loop.remove_reader(fd) is False
    finally:
        os.close(fd)


async def test_what_is_no_descriptor_is_refused():
    loop = asyncio.get_running_loop()
    for wrong in (-1, "file", object(), 1.5, None):
        with pytest.raises(ValueError):
            loop.add_reader(wrong, print)
    closed = os.dup(0)
    os.close(closed)
    with pytest.raises(OSError, match="Bad file descriptor"):
        loop.add_reader(closed, print)
    assert loop.remove_reader(closed) is False


async def test_a_transports_socket_is_refused(pair):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(Recorder, sock=pair[0])
    for call in (loop.add_reader, loop.add_writer, loop.remove_reader, loop.remove_writer):
        arguments = (print,) if "add" in call.__name__ else ()
        with pytest.raises(RuntimeError, match="is used by transport"):
            call(pair[0], *arguments)
    transport.abort()
    await transport.get_protocol().lost()
