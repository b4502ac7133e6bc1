"""http_server.py answers requests in their order, whatever pieces they come in."""

from __future__ import annotations

import asyncio
import random
import re
import signal

import pytest
from example_programs import bounded, connection, server

pytestmark = pytest.mark.filterwarnings("error")


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes, bytes]:
    """Read the next response; return its status, head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
    return status, head, await reader.readexactly(int(length[1])) if length else b""


def post(body: bytes, *fields: bytes) -> bytes:
    lines = [b"POST /echo HTTP/1.1", b"Host: test", b"Content-Length: %d" % len(body), *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
HELLO = b"Hello, world!\n"


@bounded
async def test_http_answers_pipelined_requests_in_their_order():
    bodies = [b"body %d" % number * (number % 7) for number in range(500)]
    async with (
        server("http_server.py") as address,
        connection(address) as (reader, writer),
    ):
        writer.write(b"".join(GET + post(body) for body in bodies))
        for body in bodies:
            assert (await response(reader))[::2] == (200, HELLO)
            assert (await response(reader))[::2] == (200, body)


@bounded
async def test_http_answers_a_request_that_arrives_byte_by_byte():
    async with (
        server("http_server.py") as address,
        connection(address) as (reader, writer),
    ):
        for byte in post(b"slowly") + GET:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await response(reader))[::2] == (200, b"slowly")
        assert (await response(reader))[::2] == (200, HELLO)


@bounded
async def test_http_echoes_large_bodies_to_many_clients_on_kept_connections():
    async def ask(address: tuple[str, int], seed: int) -> None:
        async with connection(address) as (reader, writer):
            for size in (0, 1, 200_000, 1_000_000):
                body = random.Random(seed).randbytes(size)
                writer.write(post(body))
                status, _, echo = await response(reader)
                assert (status, len(echo), echo == body) == (200, size, True)
                writer.write(GET)
                assert (await response(reader))[::2] == (200, HELLO)

    async with server("http_server.py") as address:
        await asyncio.gather(*(ask(address, seed) for seed in range(16)))


@bounded
async def test_http_reads_chunked_bodies_and_confirms_an_expectation():
    head = b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n"
    async with (
        server("http_server.py") as address,
        connection(address) as (reader, writer),
    ):
        writer.write(head + b"Expect: 100-continue\r\n\r\n")
        assert (await response(reader))[0] == 100
        writer.write(b"5\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n")
        assert (await response(reader))[::2] == (200, b"abcdef")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 200),
        (b"this is not HTTP\r\n\r\n", 400),
        (post(b"", b"Connection: close").replace(b"/echo", b"/"), 405),
    ],
    ids=["close", "http-1.0", "upgrade", "garbage", "method-and-close"],
)
@bounded
async def test_http_answers_then_closes_when_the_connection_must_end(request_bytes, status):
    async with (
        server("http_server.py") as address,
        connection(address) as (reader, writer),
    ):
        writer.write(request_bytes)
        got, head, _ = await response(reader)
        assert got == status
        assert b"\r\nConnection: close\r\n" in head
        assert await reader.read() == b""


@bounded
async def test_http_keeps_the_connection_after_head_and_not_found():
    async with (
        server("http_server.py", signal.SIGTERM) as address,
        connection(address) as (reader, writer),
    ):
        writer.write(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"\r\nContent-Length: 14\r\n" in head
        writer.write(GET.replace(b"/ ", b"/nothing/here "))
        assert (await response(reader))[0] == 404
        writer.write(GET)
        assert (await response(reader))[::2] == (200, HELLO)


@bounded
async def test_http_refuses_a_body_that_is_too_large():
    async with (
        server("http_server.py") as address,
        connection(address) as (reader, writer),
    ):
        writer.write(post(bytes(16 * 1024 * 1024 + 1)))
        assert (await response(reader))[0] == 413
