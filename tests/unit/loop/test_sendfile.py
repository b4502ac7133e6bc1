"""sendfile, on raw sockets and on transports."""

import asyncio
import io

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
