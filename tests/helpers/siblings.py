"""Processes that accept from one listening socket, each of which says who it is."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import pkgutil
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator

from peers import LOOP_NAME
from slowness import SLOWNESS

Handler = Callable[[asyncio.Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
ANSWER_SECONDS = 10 * SLOWNESS


class Signal:
    """Something that one process waits for, blocking, until another says it; for any number."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()

    def wait(self) -> None:
        os.read(self._reader, 1)

    def say(self, times: int = 1) -> None:
        os.write(self._writer, b"x" * times)

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


@contextlib.contextmanager
def signals(count: int) -> Iterator[list[Signal]]:
    made = [Signal() for _ in range(count)]
    try:
        yield made
    finally:
        for one in made:
            one.close()


@contextlib.contextmanager
def listening(backlog: int = 2048) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as sock:
        sock.setblocking(False)
        yield sock


async def _serve(sock: socket.socket, handler: Handler, started: Signal) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(server, reader, writer)
        except Exception:
            traceback.print_exc()
        finally:
            writer.close()

    server = await asyncio.start_server(handle, sock=sock)
    await asyncio.sleep(0)
    started.say()
    await asyncio.Event().wait()


@contextlib.contextmanager
def sibling(sock: socket.socket, handler: Handler) -> Iterator[int]:
    """Fork a process that serves `sock` by `asyncio.start_server`; yield its pid. It is killed at
    the end."""
    with signals(1) as (started,):
        pid = os.fork()
        if pid == 0:
            try:
                with asyncio.Runner(loop_factory=pkgutil.resolve_name(LOOP_NAME)) as runner:
                    runner.run(_serve(sock, handler, started))
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(1)
        try:
            started.wait()
            yield pid
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@contextlib.contextmanager
def siblings(sock: socket.socket, handler: Handler, count: int) -> Iterator[list[int]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(sibling(sock, handler)) for _ in range(count)]


async def tell_pid(
    server: asyncio.Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Make the handler that answers a line with the number of the process."""
    await reader.readline()
    writer.write(b"%d" % os.getpid())


def asked(address: tuple[str, int], text: bytes = b"\n") -> socket.socket:
    """Connect and send a line; nothing is received yet."""
    client = socket.create_connection(address, timeout=ANSWER_SECONDS)
    client.sendall(text)
    return client


def answer(client: socket.socket) -> int:
    """Receive the number that comes back, and close the connection."""
    with client:
        text = b""
        while piece := client.recv(100):
            text += piece
        return int(text)


def shares(address: tuple[str, int], count: int) -> collections.Counter[int]:
    """Make `count` connections, one after the other; count the answers of each process."""
    return collections.Counter(answer(asked(address)) for _ in range(count))
