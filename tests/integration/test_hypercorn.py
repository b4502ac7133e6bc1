"""hypercorn, whose workers share its socket, on the loop under test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import sys
from collections.abc import AsyncIterator

import pytest

from .servers import running
from .sharing import check_shares, check_that_nobody_waits

HERE = str(pathlib.Path(__file__).parent)


@contextlib.asynccontextmanager
async def workers(loop_name: str, lifespan: pathlib.Path, count: int) -> AsyncIterator[str]:
    """The address of hypercorn with so many workers, which have started and end with it."""

    def command(port: int) -> list[str]:
        return [
            *(sys.executable, "-m", "hypercorn", "hypercorn_application:application"),
            *("--bind", f"127.0.0.1:{port}", "--workers", str(count)),
        ]

    environment = {
        "ZCLOOP_TEST_LIFESPAN": str(lifespan),
        "ZCLOOP_TEST_LOOP": loop_name,
        "PYTHONPATH": os.pathsep.join([HERE, *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    servers = running(command, "Running on http://", environment=environment)
    server, port = await asyncio.to_thread(servers.__enter__)
    try:
        await asyncio.to_thread(server.wait_for_line, "Running on http://", count)
        yield f"http://127.0.0.1:{port}"
    finally:
        await asyncio.to_thread(servers.__exit__, None, None, None)
    # hypercorn terminates workers that are still ending well: not all of them tell that they have.
    assert lifespan.read_text().split().count("started") == count
    assert "Traceback" not in server.log


@pytest.mark.parametrize("count", [2, 4])
async def test_workers_share_the_socket_and_end_together(tmp_path, loop_name, count):
    async with workers(loop_name, tmp_path / "lifespan", count) as url:
        await check_shares(url, count)


async def test_a_worker_that_computes_keeps_nobody_waiting(tmp_path, loop_name):
    async with workers(loop_name, tmp_path / "lifespan", 2) as url:
        await check_that_nobody_waits(url, tmp_path)
