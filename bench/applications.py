"""HTTP servers that people use, with the smallest answer: uvicorn and aiohttp."""

from __future__ import annotations

import asyncio
import importlib
import socket
from typing import Any

from bench.protocols import HTTP_BODY

BACKLOG = 4096
START_POLL_SECONDS = 0.01


async def hello(_scope: Any, _receive: Any, send: Any) -> None:
    """The ASGI application."""
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(HTTP_BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": HTTP_BODY})


async def serve_uvicorn(opened: socket.socket) -> Any:
    """uvicorn with httptools, on the loop that runs."""
    uvicorn = importlib.import_module("uvicorn")
    config = uvicorn.Config(
        hello, http="httptools", ws="none", lifespan="off", access_log=False, log_level="error"
    )
    server = uvicorn.Server(config)
    task = asyncio.get_running_loop().create_task(server.serve(sockets=[opened]))
    while not server.started and not task.done():  # noqa: ASYNC110
        await asyncio.sleep(START_POLL_SECONDS)  # uvicorn has no event for its start
    if task.done():
        task.result()
    return task


async def serve_aiohttp(opened: socket.socket) -> Any:
    """aiohttp's server, on the loop that runs."""
    web = importlib.import_module("aiohttp.web")

    async def answer(_request: Any) -> Any:
        return web.Response(body=HTTP_BODY, content_type="text/plain")

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.SockSite(runner, opened, backlog=BACKLOG).start()
    return runner
