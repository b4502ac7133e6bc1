"""What several worker processes on one socket are asked: that all of them answer, and none waits
for another one."""

from __future__ import annotations

import asyncio
import collections
import concurrent.futures
import contextlib
import os
import pathlib
import socket
import threading
from collections.abc import AsyncIterator, Awaitable

import aiohttp

CONNECTIONS = 200
REQUESTS = 320
# Shares of a few hundred requests depend on who else uses the cores. Rounds are added up.
ROUNDS_MAX = 5


async def first_connection(address: tuple[str, int]) -> None:
    """A parent may announce an address before its workers listen, and they say nothing then."""
    while True:
        try:
            _, writer = await asyncio.open_connection(*address)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
            continue
        writer.close()
        await writer.wait_closed()
        return


async def who_answers(session: aiohttp.ClientSession) -> int:
    """The number of the process that answered, on the loop under test."""
    async with session.get("/loop") as response:
        pid, loop_module = (await response.text()).split()
    assert loop_module == type(asyncio.get_running_loop()).__module__
    return int(pid)


@contextlib.asynccontextmanager
async def new_connections(url: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A session in which each request has a connection of its own."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(url, connector=connector) as session:
        yield session


def least(served: collections.Counter[int], workers: int) -> float:
    """What the process with the fewest has of its fair share."""
    if len(served) < workers:
        return 0
    return min(served.values()) * workers / served.total()


async def check_shares(url: str, workers: int) -> None:
    """Of connections one by one, and of requests at once, each gets half of its share or more."""
    for at_once in (False, True):
        served: collections.Counter[int] = collections.Counter()
        for _ in range(ROUNDS_MAX):
            async with new_connections(url) as session:
                if at_once:
                    asked = (who_answers(session) for _ in range(REQUESTS))
                    served.update(await asyncio.gather(*asked))
                else:
                    served.update([await who_answers(session) for _ in range(CONNECTIONS)])
            if least(served, workers) >= 0.5:
                break
        assert least(served, workers) >= 0.5, (served, at_once)


class Pipe:
    """A pipe with a name, which a worker reads until we let it go, and so blocks its loop."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.path = directory / "pipe"
        os.mkfifo(self.path)

    async def is_read(self) -> None:
        while True:
            try:
                self._fd = os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody has opened it so far
                await asyncio.sleep(0.001)
                continue
            return

    def let_go(self) -> None:
        os.close(self._fd)


async def check_that_nobody_waits(url: str, directory: pathlib.Path) -> None:
    """While a worker computes, the others answer everything."""
    pipe = Pipe(directory)
    async with new_connections(url) as session:
        computing = asyncio.ensure_future(session.get(f"/read{pipe.path}"))
        await pipe.is_read()
        try:
            others = [await who_answers(session) for _ in range(50)]
            assert not computing.done()
        finally:
            pipe.let_go()
        async with await computing as response:
            assert int(await response.text()) not in others


def is_answered(address: tuple[str, int]) -> bool:
    """Whether one request on a new connection is."""
    try:
        with socket.create_connection(address, timeout=10) as client:
            client.sendall(b"GET /loop HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
            received = b""
            while piece := client.recv(1000):
                received += piece
    except OSError:
        return False
    return received.startswith(b"HTTP/1.1 200 ")


async def requests_during(address: tuple[str, int], meanwhile: Awaitable[None]) -> list[bool]:
    """Of each request of eight clients whether it was answered, while something is done."""

    def ask_again_and_again() -> list[bool]:
        answered = []
        while not over.is_set():
            answered.append(is_answered(address))
        return answered

    over = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        clients = [threads.submit(ask_again_and_again) for _ in range(8)]
        try:
            await meanwhile
        finally:
            over.set()
    return [is_one for client in clients for is_one in client.result()]
