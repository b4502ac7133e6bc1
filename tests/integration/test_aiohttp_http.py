"""aiohttp's server and client over HTTP/1.1: requests, concurrency, TLS, clients that go away."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import ssl

import aiohttp
import pytest
from aiohttp import web

from .payloads import digest


@contextlib.asynccontextmanager
async def serving(*routes: web.RouteDef, tls: ssl.SSLContext | None = None, on_shutdown=None):
    """The base URL of an application with these routes; it is gone after the block."""
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.add_routes(routes)
    if on_shutdown is not None:
        application.on_shutdown.append(on_shutdown)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        # The default of 128 would make the 200 clients below wait for a second SYN.
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls, backlog=1024).start()
        host, port = runner.addresses[0]
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()


async def describe(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {
            "method": request.method,
            "path": request.path,
            "query": dict(request.query),
            "body": body.decode(),
            "peer": request.transport.get_extra_info("peername"),
        }
    )


async def echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


async def test_get_and_post_carry_query_body_and_peer_address():
    async with (
        serving(web.route("*", "/{rest:.*}", describe)) as url,
        aiohttp.ClientSession(url) as session,
    ):
        async with session.get("/a/b", params={"q": "ü"}) as response:
            got = await response.json()
            assert (got["method"], got["path"], got["query"]) == ("GET", "/a/b", {"q": "ü"})
        async with session.post("/c", json={"n": [1, 2]}) as response:
            got = await response.json()
            assert (got["method"], json.loads(got["body"])) == ("POST", {"n": [1, 2]})
            assert got["peer"][0] == "127.0.0.1"
            assert isinstance(got["peer"][1], int)


async def test_one_connection_serves_many_requests_in_turn():
    peers = set()
    async with (
        serving(web.route("*", "/", describe)) as url,
        aiohttp.ClientSession(url) as session,
    ):
        for number in range(200):
            async with session.post("/", data=f"{number}") as response:
                got = await response.json()
                assert got["body"] == str(number)
                peers.add(tuple(got["peer"]))
    assert len(peers) == 1


async def test_every_one_of_many_concurrent_requests_gets_its_own_answer():
    everybody_is_here = asyncio.Event()
    here = 0

    async def meet(request: web.Request) -> web.Response:
        nonlocal here
        here += 1
        if here == 200:
            everybody_is_here.set()
        await everybody_is_here.wait()
        return web.Response(text=request.query["n"])

    async def ask(session: aiohttp.ClientSession, number: int) -> str:
        async with session.get("/", params={"n": number}) as response:
            return await response.text()

    async with (
        serving(web.get("/", meet)) as url,
        aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        answers = await asyncio.gather(*(ask(session, number) for number in range(200)))
    assert answers == [str(number) for number in range(200)]


async def test_requests_beyond_the_connection_limit_wait_for_their_turn():
    async def ask(session: aiohttp.ClientSession, number: int) -> bytes:
        async with session.post("/", data=b"%d" % number * 1000) as response:
            return await response.read()

    async with (
        serving(web.post("/", echo)) as url,
        aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=5)) as session,
    ):
        answers = await asyncio.gather(*(ask(session, number) for number in range(300)))
    for number, answer in enumerate(answers):
        assert answer == b"%d" % number * 1000


async def test_unix_socket_serves_like_tcp(tmp_path):
    path = str(tmp_path / "http.sock")
    application = web.Application()
    application.add_routes([web.post("/", echo)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    try:
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session,
            session.post("http://unix/", data=bytes(500_000)) as response,
        ):
            assert digest(await response.read()) == digest(bytes(500_000))
    finally:
        await runner.cleanup()


async def test_tls_carries_large_bodies_both_ways_on_concurrent_connections(certificates):
    body = bytes(range(256)) * 8192

    async def ask(session: aiohttp.ClientSession) -> bool:
        async with session.post("/", data=io.BytesIO(body)) as response:
            return await response.read() == body

    connector = aiohttp.TCPConnector(ssl=certificates.client_context())
    async with (
        serving(web.post("/", echo), tls=certificates.server_context()) as url,
        aiohttp.ClientSession(url, connector=connector) as session,
    ):
        assert all(await asyncio.gather(*(ask(session) for _ in range(8))))


async def test_tls_client_refuses_a_server_of_an_unknown_authority(certificates):
    async with (
        serving(web.get("/", describe), tls=certificates.server_context()) as url,
        aiohttp.ClientSession(url) as session,
    ):
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get("/")
        connector = aiohttp.TCPConnector(ssl=certificates.client_context())
        async with (
            aiohttp.ClientSession(url, connector=connector) as trusting,
            trusting.get("/") as response,
        ):
            assert response.status == 200


async def test_client_timeout_ends_the_request_and_the_next_one_succeeds():
    never = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        await never.wait()
        raise AssertionError("unreachable")

    async with (
        serving(web.get("/hang", hang), web.post("/", echo)) as url,
        aiohttp.ClientSession(url) as session,
    ):
        with pytest.raises(asyncio.TimeoutError):
            await session.get("/hang", timeout=aiohttp.ClientTimeout(total=0.05))
        async with session.post("/", data=b"alive") as response:
            assert await response.read() == b"alive"
        never.set()


async def test_server_notices_a_client_that_leaves_during_a_download():
    noticed = asyncio.get_running_loop().create_future()

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(65_536))
        except ConnectionError as error:
            noticed.set_result(error)
        return response

    async with (
        serving(web.get("/endless", endless), web.post("/", echo)) as url,
        aiohttp.ClientSession(url) as session,
    ):
        async with session.get("/endless") as response:
            await response.content.readexactly(1_000_000)
            response.close()
        assert isinstance(await noticed, ConnectionError)
        async with session.post("/", data=b"others are served") as response:
            assert await response.read() == b"others are served"


async def test_server_notices_a_client_that_leaves_during_an_upload():
    loop = asyncio.get_running_loop()
    started, noticed = asyncio.Event(), loop.create_future()

    async def receive(request: web.Request) -> web.Response:
        size = 0
        try:
            async for chunk in request.content.iter_any():
                size += len(chunk)
                started.set()
        except BaseException as error:
            noticed.set_result(type(error))
            raise
        return web.Response()

    async with serving(web.post("/", receive)) as url:
        host, port = url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n" + bytes(9))
        await started.wait()
        writer.transport.abort()
        assert issubclass(await noticed, (asyncio.CancelledError, OSError, aiohttp.ClientError))


async def test_cleanup_waits_for_the_answer_that_is_being_made():
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.Response:
        asked.set()
        await may_answer.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        return web.Response(text="after all")

    async def shutdown(_: web.Application) -> None:
        may_answer.set()

    async def ask(url: str) -> str:
        async with aiohttp.ClientSession(url) as session, session.get("/") as response:
            return await response.text()

    async with serving(web.get("/", slow), on_shutdown=shutdown) as url:
        answer = asyncio.create_task(ask(url))
        await asked.wait()
        # The end of the block cleans up; only that lets the handler go on.
    assert await answer == "after all"
