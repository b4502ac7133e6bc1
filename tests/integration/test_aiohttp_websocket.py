"""aiohttp's websockets, server and client, plain and over TLS."""

from __future__ import annotations

import asyncio
import random

import aiohttp
import pytest
from aiohttp import web

from .payloads import digest
from .test_aiohttp_http import serving


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
async def test_messages_of_every_size_come_back_in_order(secure, certificates):
    server = certificates.server_context() if secure else None
    client = certificates.client_context() if secure else True
    messages = [random.Random(size).randbytes(size) for size in (0, 1, 125, 126, 65_536, 2_000_000)]
    async with (
        serving(web.get("/", echo), tls=server) as url,
        aiohttp.ClientSession(url) as session,
        session.ws_connect("/", ssl=client, max_msg_size=0) as socket,
    ):
        for message in messages:
            await socket.send_bytes(message)
        received = [await socket.receive_bytes() for _ in messages]
        assert list(map(digest, received)) == list(map(digest, messages))
        await socket.send_str("tschüß")
        assert await socket.receive_str() == "tschüß"


async def test_compressed_messages_come_back_whole():
    async with (
        serving(web.get("/", echo)) as url,
        aiohttp.ClientSession(url) as session,
        session.ws_connect("/", compress=15, max_msg_size=0) as socket,
    ):
        assert socket.compress
        for _ in range(20):
            await socket.send_str("again and " * 20_000)
            assert digest(await socket.receive_str()) == digest("again and " * 20_000)


async def test_many_sockets_talk_at_once():
    async def talk(session: aiohttp.ClientSession, name: int) -> None:
        async with session.ws_connect("/") as socket:
            for number in range(50):
                await socket.send_str(f"{name}: {number}")
                assert await socket.receive_str() == f"{name}: {number}"

    async with (
        serving(web.get("/", echo)) as url,
        aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        await asyncio.gather(*(talk(session, name) for name in range(40)))


async def test_ping_is_answered_and_each_side_learns_the_close_code_of_the_other():
    closed = asyncio.get_running_loop().create_future()

    async def patient(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            pass
        closed.set_result(socket.close_code)
        return socket

    async with (
        serving(web.get("/", patient)) as url,
        aiohttp.ClientSession(url) as session,
        session.ws_connect("/", autoping=False) as socket,
    ):
        await socket.ping(b"there?")
        pong = await socket.receive()
        assert (pong.type, pong.data) == (aiohttp.WSMsgType.PONG, b"there?")
        await socket.close(code=4001)
        assert await closed == 4001
        assert socket.close_code == 1000


async def test_server_ends_a_socket_whose_client_vanished():
    ended = asyncio.get_running_loop().create_future()

    async def watch(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        async for _ in socket:
            pass
        ended.set_result(socket.close_code)
        return socket

    async with (
        serving(web.get("/", watch)) as url,
        aiohttp.ClientSession(url) as session,
    ):
        socket = await session.ws_connect("/")
        assert await socket.receive_str() == "hello"
        socket._response.connection.transport.abort()
        assert await ended == aiohttp.WSCloseCode.ABNORMAL_CLOSURE
        await socket.close()
