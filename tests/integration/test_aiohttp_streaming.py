"""aiohttp moves bodies of many megabytes in pieces, and neither side runs ahead of the other."""

from __future__ import annotations

import asyncio
import hashlib
import io

import aiohttp
import pytest
from aiohttp import web

from .payloads import digest, payload
from .test_aiohttp_http import serving

PIECE = payload(64 * 1024)
PIECES = 128
DIGEST = digest(PIECE * PIECES)
# A transport stops its protocol at 64 KiB by default, after the write that crosses the line.
BUFFERED_MAX = 64 * 1024 + len(PIECE) + 1024


async def digest_of_upload(request: web.Request) -> web.Response:
    running = hashlib.sha256()
    async for chunk in request.content.iter_any():
        running.update(chunk)
    return web.Response(text=running.hexdigest())


async def download(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(PIECES):
        await response.write(PIECE)
    await response.write_eof()
    return response


async def digest_of_download(response: aiohttp.ClientResponse) -> str:
    running = hashlib.sha256()
    async for chunk in response.content.iter_any():
        running.update(chunk)
    return running.hexdigest()


@pytest.fixture(params=["plain", "tls"])
def contexts(request, certificates):
    if request.param == "plain":
        return None, True
    return certificates.server_context(), certificates.client_context()


async def test_chunked_upload_arrives_whole(contexts):
    server, client = contexts

    async def pieces():
        for _ in range(PIECES):
            yield PIECE

    async with (
        serving(web.post("/", digest_of_upload), tls=server) as url,
        aiohttp.ClientSession(url) as session,
        session.post("/", data=pieces(), ssl=client) as response,
    ):
        assert await response.text() == DIGEST


async def test_chunked_download_arrives_whole(contexts):
    server, client = contexts
    async with (
        serving(web.get("/", download), tls=server) as url,
        aiohttp.ClientSession(url) as session,
        session.get("/", ssl=client) as response,
    ):
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert await digest_of_download(response) == DIGEST


async def test_uploads_and_downloads_share_the_loop(contexts):
    server, client = contexts

    async def up(session: aiohttp.ClientSession) -> str:
        async with session.post("/", data=io.BytesIO(PIECE * PIECES), ssl=client) as response:
            return await response.text()

    async def down(session: aiohttp.ClientSession) -> str:
        async with session.get("/", ssl=client) as response:
            return await digest_of_download(response)

    async with (
        serving(web.get("/", download), web.post("/", digest_of_upload), tls=server) as url,
        aiohttp.ClientSession(url) as session,
    ):
        digests = await asyncio.gather(*(way(session) for way in (up, down) for _ in range(3)))
    assert set(digests) == {DIGEST}


async def test_writer_is_held_back_by_a_reader_that_waits():
    full, buffered = asyncio.Event(), []

    async def measured(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(PIECES):
            writing = asyncio.ensure_future(response.write(PIECE))
            await asyncio.sleep(0)
            buffered.append(request.transport.get_write_buffer_size())
            if buffered[-1] > 0:
                full.set()
            await writing
        return response

    async with (
        serving(web.get("/", measured)) as url,
        aiohttp.ClientSession(url, read_bufsize=2**14) as session,
        session.get("/") as response,
    ):
        # Nothing is read until the server could not hand everything to the kernel.
        await full.wait()
        assert await digest_of_download(response) == DIGEST
    assert 0 < max(buffered) <= BUFFERED_MAX


async def test_file_response_sends_the_file_and_its_ranges(tmp_path):
    path = tmp_path / "big.bin"
    path.write_bytes(PIECE * PIECES)

    async def file(request: web.Request) -> web.FileResponse:
        return web.FileResponse(path)

    async with (
        serving(web.get("/", file)) as url,
        aiohttp.ClientSession(url) as session,
    ):
        async with session.get("/") as response:
            assert await digest_of_download(response) == DIGEST
        async with session.get("/", headers={"Range": "bytes=70000-200000"}) as response:
            assert response.status == 206
            assert digest(await response.read()) == digest((PIECE * 4)[70_000:200_001])
        # The connection is still in step after sendfile.
        async with session.head("/") as response:
            assert response.content_length == len(PIECE) * PIECES


async def test_multipart_form_carries_fields_and_a_large_file():
    async def form(request: web.Request) -> web.Response:
        post = await request.post()
        content = post["file"].file.read()
        return web.json_response([post["name"], digest(content)])

    data = aiohttp.FormData({"name": "zcloop"})
    data.add_field("file", io.BytesIO(PIECE * PIECES), filename="big.bin")
    async with (
        serving(web.post("/", form)) as url,
        aiohttp.ClientSession(url) as session,
        session.post("/", data=data) as response,
    ):
        assert await response.json() == ["zcloop", DIGEST]
