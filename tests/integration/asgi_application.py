"""The ASGI application that the tests of servers serve: bare ASGI, so that the loop is tested.

The lifespan writes `started` and `stopped` to the file that ZCLOOP_TEST_LIFESPAN names.
"""

from __future__ import annotations

import asyncio
import hashlib
import os

PIECE = bytes(range(256)) * 256
PIECES = 64


async def application(scope, receive, send) -> None:
    handlers = {"lifespan": lifespan, "http": http, "websocket": websocket}
    await handlers[scope["type"]](scope, receive, send)


async def lifespan(scope, receive, send) -> None:
    scope["state"]["loop"] = type(asyncio.get_running_loop()).__module__
    while True:
        event = (await receive())["type"].removeprefix("lifespan.")
        with open(os.environ["ZCLOOP_TEST_LIFESPAN"], "a") as record:
            print({"startup": "started", "shutdown": "stopped"}[event], file=record)
        await send({"type": f"lifespan.{event}.complete"})
        if event == "shutdown":
            return


async def http(scope, receive, send) -> None:
    if scope["path"] == "/download":
        await start(send)
        for _ in range(PIECES):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await send({"type": "http.response.body"})
    elif scope["path"] == "/echo":
        await answer(send, b"".join([piece async for piece in body(receive)]))
    elif scope["path"] == "/digest":
        digest = hashlib.sha256()
        async for piece in body(receive):
            digest.update(piece)
        await answer(send, digest.hexdigest().encode())
    elif scope["path"] == "/loop":
        await answer(send, f"{os.getpid()} {scope['state']['loop']}".encode())
    elif scope["path"].startswith("/read/"):
        with open(scope["path"].removeprefix("/read")) as pipe:
            pipe.read()  # blocking: the loop does nothing else meanwhile
        await answer(send, b"%d" % os.getpid())
    elif scope["path"] == "/wait-for-the-body":
        print("a request waits for its body", flush=True)
        await answer(send, b"".join([piece async for piece in body(receive)]))


async def body(receive):
    more = True
    while more:
        event = await receive()
        if piece := event.get("body"):
            yield piece
        more = event.get("more_body", False)


async def start(send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def answer(send, content: bytes) -> None:
    length = (b"content-length", str(len(content)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": content})


async def websocket(scope, receive, send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        kind = "text" if event.get("text") is not None else "bytes"
        if event[kind] == "close, please":
            await send({"type": "websocket.close", "code": 4002})
            return
        await send({"type": "websocket.send", kind: event[kind]})
