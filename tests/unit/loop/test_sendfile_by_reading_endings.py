"""However a sendfile ends that reads and writes the file, its transport is what it was before."""

import asyncio
import contextlib
import io
import os

import pytest
from encryption import encrypted
from peers import connection, payload
from recording import Recorder
from sending_files import SIZE, CountedFile, SlowFile, fill_up
from waits import cancelled

# asyncio leaves the transport paused or refusing writes after some of these.
pytestmark = pytest.mark.zcloop_only


@pytest.fixture
def data():
    return payload(SIZE)


@pytest.fixture
def path(tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    return tmp_path / "file"


@contextlib.asynccontextmanager
async def tls(certificates):
    async with encrypted(certificates) as (protocol, peer):
        yield protocol.transport, protocol, peer


@contextlib.asynccontextmanager
async def plain(certificates):
    loop = asyncio.get_running_loop()
    peer = Recorder()
    async with connection(Recorder) as (transport, protocol, sock):
        await loop.create_connection(lambda: peer, sock=sock)
        try:
            yield transport, protocol, peer
        finally:
            peer.transport.abort()
            await peer.lost()


@pytest.fixture(params=[tls, plain], ids=["tls", "file in memory"])
def pair(request, certificates):
    return lambda: request.param(certificates)


def check_told_alike(protocol, transport):
    """pause_writing() and resume_writing() in turn, and the last as it is now."""
    told = [name for name in protocol.names if name.endswith("_writing")]
    assert told == ["pause_writing", "resume_writing"] * (len(told) // 2) + (
        ["pause_writing"] if len(told) % 2 else []
    )
    assert bool(len(told) % 2) == transport._protocol_paused


async def check_pair_usable(transport, protocol, peer, before):
    assert transport.is_reading()
    assert transport.get_protocol() is protocol
    check_told_alike(protocol, transport)
    peer.transport.write(b"in")
    assert await protocol.received(2) == b"in"
    transport.write(b"out")
    transport.writelines([b"!"])
    peer.transport.resume_reading()
    wanted = before + b"out!"
    assert await peer.received(len(wanted)) == wanted
    await protocol.until(lambda: not transport._protocol_paused)
    check_told_alike(protocol, transport)


async def test_cancelled_while_the_file_is_read(pair):
    loop = asyncio.get_running_loop()
    async with pair() as (transport, protocol, peer):
        file = SlowFile(b"never sent")
        task = asyncio.ensure_future(loop.sendfile(transport, file))
        await loop.run_in_executor(None, file.asked.wait)
        await cancelled(task)
        file.allowed.set()
        await check_pair_usable(transport, protocol, peer, b"")


@pytest.mark.parametrize("is_full", [False, True], ids=["flowing", "full before"])
async def test_cancelled_while_nobody_reads(pair, data, is_full):
    loop = asyncio.get_running_loop()
    async with pair() as (transport, protocol, peer):
        peer.transport.pause_reading()
        before = bytes(fill_up(transport)) if is_full else b""
        file = CountedFile(data)
        task = asyncio.ensure_future(loop.sendfile(transport, file))
        await file.stalled()
        await cancelled(task)
        sent = file.tell()
        assert (0 if is_full else 1) <= sent < SIZE
        await check_pair_usable(transport, protocol, peer, before + data[:sent])


async def test_its_end_tells_the_protocol_how_it_stands_with_writing(certificates, data):
    """As many pieces as it takes for the last to fill what may be queued."""
    loop = asyncio.get_running_loop()
    async with tls(certificates) as (transport, protocol, peer):
        peer.transport.pause_reading()
        size = 0
        while not transport._protocol_paused:
            size += await loop.sendfile(transport, io.BytesIO(data), size, 10_000)
            check_told_alike(protocol, transport)
        assert size < SIZE
        await check_pair_usable(transport, protocol, peer, data[:size])


async def test_a_paused_transport_stays_paused(pair):
    loop = asyncio.get_running_loop()
    async with pair() as (transport, protocol, peer):
        transport.pause_reading()
        assert await loop.sendfile(transport, io.BytesIO(b"data")) == 4
        assert not transport.is_reading()
        transport.resume_reading()
        await check_pair_usable(transport, protocol, peer, b"data")


async def test_a_file_that_fails_leaves_it_usable(pair):
    class Broken(io.BytesIO):
        def readinto(self, view):
            if self.tell():
                raise OSError("a bad sector")
            return super().readinto(view[:1000])

    loop = asyncio.get_running_loop()
    async with pair() as (transport, protocol, peer):
        file = Broken(bytes(2000))
        with pytest.raises(OSError, match="a bad sector"):
            await loop.sendfile(transport, file)
        assert file.tell() == 1000
        await check_pair_usable(transport, protocol, peer, bytes(1000))


async def test_a_file_closed_meanwhile_leaves_it_usable(pair):
    class Closes(io.BytesIO):
        def readinto(self, view):
            got = super().readinto(view[:1000])
            self.close()
            return got

    loop = asyncio.get_running_loop()
    async with pair() as (transport, protocol, peer):
        with pytest.raises(ValueError, match="closed file"):
            await loop.sendfile(transport, Closes(bytes(2000)))
        await check_pair_usable(transport, protocol, peer, bytes(1000))


async def test_what_has_no_position_is_sent_to_its_end(pair):
    loop = asyncio.get_running_loop()
    reader, writer = os.pipe()
    os.write(writer, b"through a pipe")
    os.close(writer)
    async with pair() as (transport, protocol, peer):
        with open(reader, "rb") as file:
            assert await loop.sendfile(transport, file) == 14
        await check_pair_usable(transport, protocol, peer, b"through a pipe")


async def test_what_has_no_position_is_sent_to_a_socket():
    loop = asyncio.get_running_loop()
    reader, writer = os.pipe()
    os.write(writer, b"through a pipe")
    os.close(writer)
    async with connection(Recorder) as (_, protocol, peer):
        with open(reader, "rb") as file:
            assert await loop.sock_sendfile(peer, file) == 14
        assert await protocol.received(14) == b"through a pipe"


async def test_another_is_refused_meanwhile(pair, path):
    loop = asyncio.get_running_loop()
    async with pair() as (transport, protocol, peer):
        file = SlowFile(b"first")
        task = asyncio.ensure_future(loop.sendfile(transport, file))
        await loop.run_in_executor(None, file.asked.wait)
        with pytest.raises(RuntimeError, match="sendfile is in progress"):
            await loop.sendfile(transport, io.BytesIO(b"second"))
        with path.open("rb") as another, pytest.raises(RuntimeError, match="in progress"):
            await loop.sendfile(transport, another)
        file.allowed.set()
        assert await task == 5
        await check_pair_usable(transport, protocol, peer, b"first")


@pytest.mark.parametrize("end", ["lost", "abort", "close", "close twice"])
@pytest.mark.parametrize("stage", ["reading", "waiting"])
async def test_the_transports_end_ends_it_and_is_told(pair, data, end, stage):
    loop = asyncio.get_running_loop()
    async with pair() as (transport, protocol, peer):
        file = SlowFile(data)
        if stage == "waiting":
            file.allowed.set()
            peer.transport.pause_reading()
        task = asyncio.ensure_future(loop.sendfile(transport, file))
        if stage == "reading":
            await loop.run_in_executor(None, file.asked.wait)
        else:
            await file.stalled()
        if end == "lost":
            peer.transport.abort()
        elif end == "abort":
            transport.abort()
        else:
            for _ in end.split():
                transport.close()
            peer.transport.resume_reading()
        file.allowed.set()
        with pytest.raises(ConnectionError):
            await task
        await protocol.lost()
        assert protocol.names.count("connection_lost") == 1


async def test_a_full_socket_is_no_reason_to_hold_many_blocks(pair, data):
    """What waits to be sent is bounded by the transport's limits, not by the file."""
    loop = asyncio.get_running_loop()
    async with pair() as (transport, protocol, peer):
        peer.transport.pause_reading()
        file = CountedFile(data)
        task = asyncio.ensure_future(loop.sendfile(transport, file))
        await file.stalled()
        assert transport.get_write_buffer_size() < 1_000_000
        peer.transport.resume_reading()
        assert await task == SIZE
        assert await peer.received(SIZE) == data
        check_told_alike(protocol, transport)
