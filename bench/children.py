"""A loop under test with child processes: `python -m bench.children KIND --loop M:F ...`.

Only the CPU time of this process counts, not that of its children. It prints JSON, as clients.py.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess

from bench.protocols import SOURCE_BLOCK, source_block
from bench.windows import (
    WARM_UP_SECONDS,
    WrongAnswerError,
    make_parser,
    pass_by,
    run,
    window,
)

CHECK_SECONDS = 0.1


async def spawn(arguments: argparse.Namespace) -> dict[str, float]:
    """Start a program that ends at once, and wait for its end, again and again."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    ended = 0

    async def repeat() -> None:
        nonlocal ended
        try:
            while True:
                process = await asyncio.create_subprocess_exec("/bin/true")
                if status := await process.wait():
                    raise WrongAnswerError(f"/bin/true ended with {status}")
                ended += 1
        except (OSError, NotImplementedError, WrongAnswerError) as error:
            if not failed.done():
                failed.set_exception(error)

    task = loop.create_task(repeat())
    await pass_by(WARM_UP_SECONDS, failed)
    report = await window(arguments.seconds, lambda: ended, failed)
    task.cancel()
    return report


class Reader(asyncio.Protocol):
    """Counts what comes by a pipe. While it is told to, it compares that with what was sent."""

    def __init__(self, failed: asyncio.Future[None]) -> None:
        self.content = memoryview(source_block() * 9)  # longer than a read, from any place
        self.received = 0
        self.is_checking = True
        self.failed = failed

    def data_received(self, data: bytes) -> None:
        if self.is_checking:
            self.check(data)
        self.received += len(data)

    def check(self, data: bytes) -> None:
        """Compare. A byte that was lost or doubled before shows as well: the position is wrong."""
        at = self.received % SOURCE_BLOCK
        if data != self.content[at : at + len(data)] and not self.failed.done():
            self.failed.set_exception(WrongAnswerError("wrong bytes from the pipe"))


async def pipe(arguments: argparse.Namespace) -> dict[str, float]:
    """Read what a child writes on another core. Every byte before the window and after it is
    compared; in the window that would be much of the work."""
    loop = asyncio.get_running_loop()
    failed: asyncio.Future[None] = loop.create_future()
    read_end, write_end = os.pipe()
    child = subprocess.Popen(  # noqa: ASYNC220
        [arguments.writer, "pipe"],
        stdout=write_end,
        preexec_fn=lambda: os.sched_setaffinity(0, {arguments.core}),
    )
    os.close(write_end)
    try:
        _, reader = await loop.connect_read_pipe(lambda: Reader(failed), os.fdopen(read_end, "rb"))
        await pass_by(WARM_UP_SECONDS, failed)
        reader.is_checking = False
        report = await window(arguments.seconds, lambda: reader.received, failed)
        reader.is_checking = True
        await pass_by(CHECK_SECONDS, failed)
    finally:
        child.kill()
        child.wait()
    report["bytes"] = int(report["ops"])
    report["ops"] = int(report["ops"]) // arguments.size
    return report


KINDS = {"spawn": spawn, "pipe": pipe}


def main() -> None:
    """Measure what the command line says."""
    parser = make_parser(__doc__, KINDS)
    parser.add_argument("--writer", metavar="PATH", help="the C client")
    parser.add_argument("--core", type=int, help="where the child writes")
    parser.add_argument("--size", type=int, default=SOURCE_BLOCK, help="bytes of an operation")
    arguments = parser.parse_args()
    run(KINDS[arguments.kind], arguments)
    os._exit(0)  # what is still open does not matter


if __name__ == "__main__":
    main()
