"""A loop under test as client: `python -m bench.clients KIND --loop MODULE:FACTORY --port P ...`.

The server is the one in C (client/backend.c). Every answer is compared with what was sent. It
prints JSON with the operations, the elapsed time and the CPU time of this process.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
from typing import Any

from bench.protocols import pattern
from bench.windows import (
    WARM_UP_SECONDS,
    WrongAnswerError,
    make_parser,
    pass_by,
    run,
    window,
)


def messages(index: int, size: int) -> tuple[bytes, bytes]:
    """Make two messages that no other connection sends."""
    content = pattern(size + 2 * index + 2)
    return content[2 * index :][:size], content[2 * index + 1 :][:size]


class Asking(asyncio.Protocol):
    """Sends a message, compares what comes back, and sends another."""

    def __init__(self, index: int, size: int, failed: asyncio.Future[None]) -> None:
        self.message, self.other = messages(index, size)
        self.failed = failed
        self.answers = 0
        self.part = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.message)

    def data_received(self, data: bytes) -> None:
        if data != self.message:
            data = self.part = self.part + data
            if data != self.message:
                self.check_part()
                return
            self.part = b""
        self.answers += 1
        self.message, self.other = self.other, self.message
        self.transport.write(self.message)

    def check_part(self) -> None:
        if not self.message.startswith(self.part):
            self.fail("a wrong answer")

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(f"the server closed the connection: {exc}")

    def fail(self, text: str) -> None:
        """End the run."""
        if not self.failed.done():
            self.failed.set_exception(WrongAnswerError(text))


class Once(asyncio.Protocol):
    """Sends one message, and gathers what comes until the server closes."""

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.answer = b""
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        transport.write(self.message)

    def data_received(self, data: bytes) -> None:
        self.answer += data

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(exc)


async def echo(arguments: argparse.Namespace) -> dict[str, float]:
    """Open connections that ask and are answered until the end."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    asking = []
    for index in range(arguments.connections):
        _, protocol = await loop.create_connection(
            functools.partial(Asking, index, arguments.size, failed),
            arguments.host,
            arguments.port,
        )
        asking.append(protocol)
    await pass_by(WARM_UP_SECONDS, failed)
    return await window(arguments.seconds, lambda: sum(one.answers for one in asking), failed)


async def churn(arguments: argparse.Namespace) -> dict[str, float]:
    """Open connections for one message each: the server answers, and closes."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    ended = [0] * arguments.connections

    async def repeat(index: int) -> None:
        message = messages(index, arguments.size)[0]
        try:
            while True:
                _, once = await loop.create_connection(
                    lambda: Once(message), arguments.host, arguments.port
                )
                await once.closed
                if once.answer != message:
                    raise WrongAnswerError("a wrong answer")
                ended[index] += 1
        except (OSError, WrongAnswerError) as error:
            if not failed.done():
                failed.set_exception(error)

    tasks = [loop.create_task(repeat(index)) for index in range(arguments.connections)]
    await pass_by(WARM_UP_SECONDS, failed)
    report = await window(arguments.seconds, lambda: sum(ended), failed)
    for task in tasks:
        task.cancel()
    return report


KINDS = {"echo": echo, "churn": churn}


def main() -> None:
    """Measure what the command line says."""
    parser = make_parser(__doc__, KINDS)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--size", type=int, default=64)
    arguments = parser.parse_args()
    run(KINDS[arguments.kind], arguments)
    os._exit(0)  # what is still open does not matter


if __name__ == "__main__":
    main()
