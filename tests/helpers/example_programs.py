"""The programs of examples/, run in processes of their own, and clients of them.

The examples run on the loop that ZCLOOP_TEST_LOOP names (module:factory, default
zcloop:new_event_loop). The clients run on asyncio's own loop, so a fault is the example's or its
loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import pathlib
import re
import signal
import sys
from asyncio.subprocess import PIPE

import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
LOOP = os.environ.get("ZCLOOP_TEST_LOOP", "zcloop:new_event_loop")
TEST_SECONDS = 30

lending_only = pytest.mark.skipif(
    not LOOP.startswith("zcloop:"), reason="no other loop lends its memory"
)


def bounded(test):
    """Run a coroutine test on asyncio's own loop, and fail it when it takes too long."""

    @functools.wraps(test)
    def run(*arguments, **named):
        async def within_time():
            async with asyncio.timeout(TEST_SECONDS):
                await test(*arguments, **named)

        asyncio.run(within_time())

    return run


async def start(name: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-X", "faulthandler", EXAMPLES / name),
        *("--loop", LOOP, *arguments),
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
    )


@contextlib.asynccontextmanager
async def example(name: str, *arguments: str):
    """A running example; whatever happens it is gone afterwards, and a hang leaves its stack."""
    process = await start(name, *arguments)
    try:
        yield process
    except BaseException:
        if process.returncode is None:
            process.send_signal(signal.SIGABRT)  # faulthandler prints where it is
        print((await process.stderr.read()).decode(), file=sys.stderr)
        raise
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.communicate()


async def ends_cleanly(process: asyncio.subprocess.Process) -> bytes:
    output, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
    return output


@contextlib.asynccontextmanager
async def server(name: str, ending: signal.Signals = signal.SIGINT, *arguments: str):
    """The address of a running server; the end of the block is `ending`, and its clean exit."""
    async with example(name, *arguments) as process:
        line = (await process.stdout.readline()).decode()
        announced = re.fullmatch(r"listening on (127\.0\.0\.1):(\d+)\n", line)
        assert announced, line + (await process.stderr.read()).decode()
        yield announced[1], int(announced[2])
        process.send_signal(ending)
        assert await ends_cleanly(process) == b""


@contextlib.asynccontextmanager
async def connection(address: tuple[str, int]):
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def place_text(address: tuple[str, int]) -> str:
    host, port = address
    return f"{host}:{port}"


async def echoed(address: tuple[str, int], payload: bytes) -> bytes:
    async with connection(address) as (reader, writer):
        writer.write(payload)
        writer.write_eof()
        return await reader.read()
