"""However a sendfile by the kernel ends, its transport is what it was before: it reads, is written
to, and tells its own protocol."""

import asyncio
import io

import pytest
from peers import connection, payload, receive_all, reset
from recording import Recorder
from sending_files import SIZE, check_usable, everything, fill_up, started
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


async def test_cancelled_while_the_queue_drains(path):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, protocol, peer):
        written = fill_up(transport)
        with path.open("rb") as file:
            await cancelled(await started(loop.sendfile(transport, file)))
            assert file.tell() == 0
        await check_usable(transport, protocol, peer)
        assert await everything(transport, peer) == bytes(written) + b"out!"


async def test_cancelled_before_its_first_step(path):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, protocol, peer):
        with path.open("rb") as file:
            await cancelled(asyncio.ensure_future(loop.sendfile(transport, file)))
        await check_usable(transport, protocol, peer)
        assert await everything(transport, peer) == b"out!"


async def test_cancelled_while_the_socket_is_full_the_file_says_how_much_was_sent(path, data):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, protocol, peer):
        with path.open("rb") as file:
            await cancelled(await started(loop.sendfile(transport, file)))
            sent = file.tell()
        assert 0 < sent < SIZE
        await check_usable(transport, protocol, peer)
        assert await everything(transport, peer) == data[:sent] + b"out!"


async def test_cancelled_at_any_turn_it_leaves_the_transport_usable(path, data):
    loop = asyncio.get_running_loop()
    for turns in range(8):
        async with connection(Recorder) as (transport, protocol, peer):
            with path.open("rb") as file:
                task = asyncio.ensure_future(loop.sendfile(transport, file))
                for _ in range(turns):
                    await asyncio.sleep(0)
                await cancelled(task)
                sent = file.tell()
            await check_usable(transport, protocol, peer)
            assert await everything(transport, peer) == data[:sent] + b"out!"


async def test_a_transport_that_was_paused_stays_paused(path):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, protocol, peer):
        transport.pause_reading()
        with path.open("rb") as file:
            await cancelled(await started(loop.sendfile(transport, file)))
        assert not transport.is_reading()
        transport.resume_reading()
        await check_usable(transport, protocol, peer)


async def test_a_second_sendfile_is_refused_and_the_first_goes_on(path, data):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, protocol, peer):
        with path.open("rb") as file, path.open("rb") as another:
            task = await started(loop.sendfile(transport, file))
            transport.resume_reading()  # the program's own wish
            with pytest.raises(RuntimeError, match="sendfile is in progress"):
                await loop.sendfile(transport, another)
            with pytest.raises(RuntimeError, match="sendfile is in progress"):
                await loop.sendfile(transport, io.BytesIO(b"fallback"))
            assert transport.is_reading()
            received = asyncio.ensure_future(receive_all(peer))
            assert await task == SIZE
        await check_usable(transport, protocol, peer)
        transport.close()
        assert await received == data + b"out!"


async def test_a_file_that_cannot_be_read_leaves_the_transport_usable(path):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, protocol, peer):
        with open(path, "ab") as file, pytest.raises((OSError, asyncio.SendfileNotAvailableError)):
            await loop.sendfile(transport, file)
        with pytest.raises(ValueError, match="closed file"):
            await loop.sendfile(transport, file)
        with path.open("rb") as file, pytest.raises(ValueError, match="non-negative"):
            await loop.sendfile(transport, file, -1)
        with path.open("rb") as file, pytest.raises(ValueError, match="positive"):
            await loop.sendfile(transport, file, 0, -1)
        await check_usable(transport, protocol, peer)
        assert await everything(transport, peer) == b"out!"


async def test_a_file_closed_in_the_middle_leaves_the_transport_usable(path, data):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, protocol, peer):
        file = path.open("rb")
        task = await started(loop.sendfile(transport, file))
        file.close()
        received = asyncio.ensure_future(receive_all(peer))
        with pytest.raises((OSError, ValueError)):
            await task
        await check_usable(transport, protocol, peer)
        transport.close()
        answer = await received
        assert answer[-4:] == b"out!"
        assert answer[:-4] == data[: len(answer) - 4]


ENDS = {
    "reset": lambda transport, peer: reset(peer),
    "abort": lambda transport, peer: transport.abort(),
    "close": lambda transport, peer: transport.close(),
}


@pytest.mark.parametrize("end", ["reset", "abort"])
async def test_the_end_of_the_transport_ends_the_wait_for_its_queue(path, end):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, protocol, peer):
        fill_up(transport)
        with path.open("rb") as file:
            task = await started(loop.sendfile(transport, file))
            ENDS[end](transport, peer)
            with pytest.raises(OSError):
                await task
        await protocol.lost()


async def test_closed_while_its_queue_drains_it_sends_the_queue_and_no_file(path):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, protocol, peer):
        written = fill_up(transport)
        with path.open("rb") as file:
            task = await started(loop.sendfile(transport, file))
            assert await everything(transport, peer) == bytes(written)
            with pytest.raises(ConnectionError):
                await task
        await protocol.lost()


@pytest.mark.parametrize("end", ENDS)
async def test_the_end_of_the_transport_ends_the_sending(path, end):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, protocol, peer):
        with path.open("rb") as file:
            task = await started(loop.sendfile(transport, file))
            ENDS[end](transport, peer)
            with pytest.raises(OSError):
                await task
            assert 0 < file.tell() < SIZE
        transport.abort()
        await protocol.lost()


async def test_a_cancelled_sock_sendfile_says_how_much_was_sent(path, data):
    loop = asyncio.get_running_loop()
    async with connection(Recorder) as (transport, _, peer):
        transport.pause_reading()
        # Any plain socket: here the raw end of a connection.
        with path.open("rb") as file:
            await cancelled(await started(loop.sock_sendfile(peer, file)))
            assert 0 < file.tell() < SIZE
            assert loop.remove_writer(peer) is False
