"""uvicorn as people run it: a process of its own, `--loop module:factory`, ended by a signal."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import pathlib
import signal
import sys
from collections.abc import Iterator

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError

from .asgi_application import PIECE, PIECES
from .payloads import digest, payload
from .servers import Server
from .sharing import check_shares, check_that_nobody_waits, first_connection

HERE = str(pathlib.Path(__file__).parent)
RUNNING = r"Uvicorn running on (https?://127\.0\.0\.1:\d+|unix socket \S+)"


class Uvicorn(Server):
    def __init__(self, loop_name: str, lifespan: pathlib.Path, *options: str) -> None:
        super().__init__(
            [
                *(sys.executable, "-m", "uvicorn", "asgi_application:application"),
                *("--app-dir", HERE, "--loop", loop_name, "--lifespan", "on", "--port", "0"),
                *options,
            ],
            environment={"ZCLOOP_TEST_LIFESPAN": str(lifespan)},
        )
        try:
            self.url = self.wait_for_line(RUNNING)[1]
        except BaseException:
            self.stop()
            raise
        self.lifespan = lifespan

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.partition("://")[2].split(":")
        return host, int(port)


@pytest.fixture(
    scope="module",
    params=[("httptools", "websockets-sansio"), ("h11", "websockets")],
    ids=lambda names: "+".join(names),
)
def uvicorn(request, loop_name, tmp_path_factory) -> Iterator[Uvicorn]:
    lifespan = tmp_path_factory.mktemp("uvicorn") / "lifespan"
    http, websocket = request.param
    server = Uvicorn(loop_name, lifespan, "--http", http, "--ws", websocket)
    yield server
    assert server.stop() == -signal.SIGTERM
    assert lifespan.read_text().split() == ["started", "stopped"]
    assert "Traceback" not in server.log


async def test_uvicorn_runs_the_application_on_the_loop_it_was_told(uvicorn):
    async with aiohttp.ClientSession(uvicorn.url) as session, session.get("/loop") as response:
        assert (await response.text()).split()[1] == type(asyncio.get_running_loop()).__module__


async def test_large_bodies_stream_in_and_out_of_uvicorn(uvicorn):
    body = payload(8_000_000)
    async with aiohttp.ClientSession(uvicorn.url) as session:
        async with session.post("/digest", data=io.BytesIO(body)) as response:
            assert await response.text() == digest(body)
        async with session.get("/download") as response:
            running = hashlib.sha256()
            async for piece in response.content.iter_any():
                running.update(piece)
            assert running.hexdigest() == digest(PIECE * PIECES)


async def test_uvicorn_answers_each_of_many_concurrent_clients(uvicorn):
    async def ask(session: aiohttp.ClientSession, number: int) -> None:
        for size in (1, 1000, 30_000):
            body = b"%06d" % number * size
            async with session.post("/echo", data=body) as response:
                assert digest(await response.read()) == digest(body)

    connector = aiohttp.TCPConnector(limit=50)
    async with aiohttp.ClientSession(uvicorn.url, connector=connector) as session:
        await asyncio.gather(*(ask(session, number) for number in range(100)))


async def test_uvicorn_answers_pipelined_requests_in_order(uvicorn):
    reader, writer = await asyncio.open_connection(*uvicorn.address)
    head = b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\n"
    writer.write(b"".join(head + b"%04d" % number for number in range(100)))
    for number in range(100):
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert await reader.readexactly(4) == b"%04d" % number
    writer.close()
    await writer.wait_closed()


async def test_uvicorn_survives_clients_that_leave_in_the_middle(uvicorn):
    head = b"POST /digest HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n"
    for begun in (b"GET /download HTTP/1.1\r\nHost: test\r\n\r\n", head + bytes(1000)):
        reader, writer = await asyncio.open_connection(*uvicorn.address)
        writer.write(begun)
        if begun.startswith(b"GET"):
            await reader.readexactly(100_000)
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    async with (
        aiohttp.ClientSession(uvicorn.url) as session,
        session.post("/echo", data=b"alive") as response,
    ):
        assert await response.read() == b"alive"


async def test_websocket_messages_of_every_size_come_back_in_order(uvicorn):
    messages = ["tschüß", b"", *(payload(size) for size in (1, 126, 65_536, 1_000_000))]
    async with connect(uvicorn.websocket_url, max_size=None, compression=None) as client:
        for message in messages:
            await client.send(message)
        received = [await client.recv() for _ in messages]
    assert list(map(digest, received)) == list(map(digest, messages))


async def test_websocket_compression_and_ping_work_through_uvicorn(uvicorn):
    async with connect(uvicorn.websocket_url) as client:
        await client.send("again and " * 10_000)
        assert digest(await client.recv()) == digest("again and " * 10_000)
        await (await client.ping())


async def test_many_websocket_clients_talk_to_uvicorn_at_once(uvicorn):
    async def talk(name: int) -> None:
        async with connect(uvicorn.websocket_url) as client:
            for number in range(30):
                await client.send(f"{name}: {number}")
                assert await client.recv() == f"{name}: {number}"

    await asyncio.gather(*(talk(name) for name in range(20)))


async def test_websocket_client_learns_the_close_code_of_the_application(uvicorn):
    async with connect(uvicorn.websocket_url) as client:
        await client.send("close, please")
        with pytest.raises(ConnectionClosedError) as raised:
            await client.recv()
        assert raised.value.rcvd.code == 4002


async def test_graceful_shutdown_finishes_the_request_that_is_under_way(tmp_path, loop_name):
    server = await asyncio.to_thread(Uvicorn, loop_name, tmp_path / "lifespan")
    try:
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(
            b"POST /wait-for-the-body HTTP/1.1\r\nHost: test\r\nContent-Length: 13\r\n\r\n"
        )
        await asyncio.to_thread(server.wait_for_line, "a request waits for its body")
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.wait_for_line, "Waiting for connections to close")
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(*server.address)
        writer.write(b"slow but sure")
        assert (await reader.read()).endswith(b"\r\n\r\nslow but sure")
        writer.close()
        await writer.wait_closed()
        assert await asyncio.to_thread(server.wait) == -signal.SIGTERM
        assert (tmp_path / "lifespan").read_text().split() == ["started", "stopped"]
    finally:
        await asyncio.to_thread(server.stop)


def test_interrupt_from_the_keyboard_ends_an_idle_server_with_status_0(tmp_path, loop_name):
    server = Uvicorn(loop_name, tmp_path / "lifespan")
    assert server.stop(signal.SIGINT) == 0
    assert (tmp_path / "lifespan").read_text().split() == ["started", "stopped"]
    assert "Traceback" not in server.log


async def test_uvicorn_serves_tls(tmp_path, loop_name, certificates):
    options = ("--ssl-certfile", certificates.chain, "--ssl-keyfile", certificates.key)
    server = await asyncio.to_thread(Uvicorn, loop_name, tmp_path / "lifespan", *options)
    try:
        context = certificates.client_context()
        body = payload(2_000_000)
        async with (
            aiohttp.ClientSession(server.url) as session,
            session.post("/digest", data=io.BytesIO(body), ssl=context) as response,
        ):
            assert await response.text() == digest(body)
        async with connect(server.websocket_url, ssl=context, max_size=None) as client:
            await client.send(body)
            assert digest(await client.recv()) == digest(body)
    finally:
        assert await asyncio.to_thread(server.stop) == -signal.SIGTERM


async def test_uvicorn_serves_a_unix_socket(tmp_path, loop_name):
    path = str(tmp_path / "uvicorn.sock")
    server = await asyncio.to_thread(Uvicorn, loop_name, tmp_path / "lifespan", "--uds", path)
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session,
            session.post("http://unix/echo", data=b"over a path") as response,
        ):
            assert await response.read() == b"over a path"
    finally:
        assert await asyncio.to_thread(server.stop) == -signal.SIGTERM


@contextlib.asynccontextmanager
async def workers(loop_name, lifespan, count):
    """uvicorn with so many workers, which have started and end with it."""
    server = await asyncio.to_thread(Uvicorn, loop_name, lifespan, "--workers", str(count))
    try:
        await asyncio.to_thread(server.wait_for_line, "Application startup complete", count=count)
        await first_connection(server.address)
        yield server
    finally:
        status = await asyncio.to_thread(server.stop)
    assert status in (0, -signal.SIGTERM)
    assert sorted(lifespan.read_text().split()) == ["started"] * count + ["stopped"] * count


@pytest.mark.parametrize("count", [2, 4])
async def test_workers_share_the_socket_and_end_together(tmp_path, loop_name, count):
    async with workers(loop_name, tmp_path / "lifespan", count) as server:
        await check_shares(server.url, count)


async def test_a_worker_that_computes_keeps_nobody_waiting(tmp_path, loop_name):
    async with workers(loop_name, tmp_path / "lifespan", 2) as server:
        await check_that_nobody_waits(server.url, tmp_path)
