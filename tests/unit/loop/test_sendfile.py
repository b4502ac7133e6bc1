"""sendfile, on raw sockets and on transports."""

import asyncio
import io
import os

import pytest
from peers import connection, payload, receive_all, tcp_pair
from recording import Recorder


@pytest.mark.parametrize(("offset", "count"), [(0, None), (10, None), (5, 1000), (999_999, 5)])
async def test_sock_sendfile_sends_the_asked_part(tmp_path, offset, count):
    loop = asyncio.get_running_loop()
    data = payload(1_000_000)
    path = tmp_path / "file"
    path.write_bytes(data)
    wanted = data[offset:] if count is None else data[offset : offset + count]
    with tcp_pair() as (one, other), path.open("rb") as file:
        sending = asyncio.ensure_future(loop.sock_sendfile(one, file, offset, count))
        received = bytearray()
        while len(received) < len(wanted):
            received += await loop.sock_recv(other, 1 << 20)
        assert await sending == len(wanted)
        assert received == wanted
        assert file.tell() == offset + len(wanted)


# asyncio does so in 3.14.8 and 3.15; before, what is read in a thread begins where the file is
# unless an offset is given, and an empty part leaves the position alone.
@pytest.mark.zcloop_only
@pytest.mark.parametrize("offset", [0, 400, 1000])
@pytest.mark.parametrize("kind", ["file", "file in memory"])
@pytest.mark.parametrize("how", ["sendfile", "sock_sendfile"])
async def test_an_offset_counts_from_the_beginning_wherever_the_file_is(
    tmp_path, how, kind, offset
):
    loop = asyncio.get_running_loop()
    data = payload(1000)
    path = tmp_path / "file"
    path.write_bytes(data)
    with path.open("rb") if kind == "file" else io.BytesIO(data) as file:
        file.seek(123)
        if how == "sendfile":
            async with connection(Recorder) as (transport, _, peer):
                assert await loop.sendfile(transport, file, offset) == len(data) - offset
                transport.close()
                assert await receive_all(peer) == data[offset:]
        else:
            with tcp_pair() as (one, other):
                assert await loop.sock_sendfile(one, file, offset) == len(data) - offset
                one.close()
                assert await receive_all(other) == data[offset:]
        assert file.tell() == len(data)


async def test_what_cannot_seek_is_sent_from_where_it_is():
    loop = asyncio.get_running_loop()
    read_fd, write_fd = os.pipe()
    with open(read_fd, "rb") as file, tcp_pair() as (one, other):
        os.write(write_fd, b"in the pipe")
        os.close(write_fd)
        assert await loop.sock_sendfile(one, file) == 11
        assert await loop.sock_recv(other, 100) == b"in the pipe"
        with pytest.raises(io.UnsupportedOperation):
            await loop.sock_sendfile(one, file, 5)


async def test_sock_sendfile_falls_back_for_what_is_no_file():
    loop = asyncio.get_running_loop()
    with tcp_pair() as (one, other):
        assert await loop.sock_sendfile(one, io.BytesIO(b"in memory")) == 9
        assert await loop.sock_recv(other, 100) == b"in memory"
        with pytest.raises(asyncio.SendfileNotAvailableError):
            await loop.sock_sendfile(one, io.BytesIO(b"x"), fallback=False)


async def test_loop_sendfile_sends_between_other_writes(tmp_path):
    loop = asyncio.get_running_loop()
    data = payload(2_000_000)
    path = tmp_path / "file"
    path.write_bytes(data)
    async with connection(Recorder) as (transport, _, peer):
        with path.open("rb") as file:
            receiving = asyncio.ensure_future(receive_all(peer))
            transport.write(b"before")
            sending = asyncio.ensure_future(loop.sendfile(transport, file))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="sendfile is in progress"):
                transport.write(b"not now")
            assert await sending == len(data)
        transport.write(b"after")
        transport.close()
        assert await receiving == b"before" + data + b"after"
