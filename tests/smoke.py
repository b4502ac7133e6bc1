"""Whether an installed zcloop works: plain Python, for wheels, containers and emulated machines.

    python tests/smoke.py                       # the backend that is chosen here
    ZCLOOP_BACKEND=epoll python tests/smoke.py  # this one, or an error

It needs no compiler, no pytest and no network but the loopback device, and takes a second. The last
line says what ran; the exit status is 0 if all of it worked.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import tempfile
import threading
import time

import zcloop
import zcloop.files

LIMIT_S = 60.0  # for everything; an emulated processor takes ten times as long as a real one
SIZES = (1, 16_384, 16_385, 1 << 20)


async def echo_over_tcp() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for size in SIZES:
            sent = os.urandom(size)
            writer.write(sent)
            assert await reader.readexactly(size) == sent
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def datagrams() -> None:
    came: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, address: object) -> None:
            came.set_result(data)

    loop = asyncio.get_running_loop()
    receiver, _ = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0))
    sender, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=receiver.get_extra_info("sockname")
    )
    sender.sendto(b"datagram")
    assert await came == b"datagram"
    sender.close()
    receiver.close()


async def a_timer() -> None:
    begin = time.monotonic()
    await asyncio.sleep(0.05)
    assert time.monotonic() - begin >= 0.049


async def files() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "file")
        written = os.urandom(100_000)
        async with zcloop.files.open(path, "wb") as file:
            await file.write(written)
        async with zcloop.files.open(path, "rb") as file:
            assert await file.read() == written


async def other_threads() -> None:
    loop = asyncio.get_running_loop()
    called = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.call_soon_threadsafe(called.set))
    thread.start()
    await called.wait()
    thread.join()
    assert await loop.run_in_executor(None, threading.get_ident) != threading.get_ident()


async def a_child() -> None:
    child = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        "read line; echo child of $line; exit 7",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await child.communicate(b"zcloop\n")
    assert (said, child.returncode) == (b"child of zcloop\n", 7)


async def main() -> str:
    for part in (echo_over_tcp, datagrams, a_timer, files, other_threads, a_child):
        try:
            await part()
        except Exception:
            print(f"failed: {part.__name__.replace('_', ' ')}", file=sys.stderr)
            raise
    backend: str = asyncio.get_running_loop().backend  # type: ignore[attr-defined]
    wish = os.environ.get("ZCLOOP_BACKEND", "auto")
    assert wish in ("auto", "", backend), f"ZCLOOP_BACKEND is {wish}, and {backend} ran"
    return backend


if __name__ == "__main__":
    backend = zcloop.run(asyncio.wait_for(main(), LIMIT_S))
    print(
        f"zcloop {zcloop.__version__} works: backend {backend}, "
        f"CPython {platform.python_version()}, {platform.machine()}, Linux {platform.release()}"
    )
