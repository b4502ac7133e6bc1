"""Copy files side by side without a thread, and say what was copied while it goes on.

    python examples/file_copy.py --jobs 4 file1 file2 directory/

Each file is copied through a buffer of its own; what the page cache has is copied at once, the rest
waits on the loop's channel. A copy that fails says why, the others go on; Ctrl-C ends all of them,
and removes what is unfinished.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pathlib
import sys
import time

import zcloop
from zcloop import files

BUFFER_SIZE = 1 << 20


def check_distinct(source: pathlib.Path, target: pathlib.Path) -> None:
    """Opening the target empties it."""
    if target.exists() and target.samefile(source):
        raise FileExistsError(f"{source} and {target} are the same file")


class Copies:
    """The copies under way, at most `jobs` at a time, and their sum."""

    def __init__(self, jobs: int, sync: bool) -> None:
        self.slots = asyncio.Semaphore(jobs)
        self.sync = sync
        self.size = self.failures = 0

    async def copy(self, source: pathlib.Path, target: pathlib.Path) -> None:
        async with self.slots:
            try:
                check_distinct(source, target)
                await self.copy_or_remove(source, target)
            except OSError as error:
                self.failures += 1
                print(f"{source}: {error}", file=sys.stderr)

    async def copy_or_remove(self, source: pathlib.Path, target: pathlib.Path) -> None:
        async with files.open(source, "rb") as reader, files.open(target, "wb") as writer:
            try:
                await self.copy_all(reader, writer)
            except BaseException:
                os.unlink(target)
                raise

    async def copy_all(self, reader: files.BinaryFile, writer: files.BinaryFile) -> None:
        buffer = memoryview(bytearray(BUFFER_SIZE))
        while size := await reader.readinto(buffer):
            await writer.write(buffer[:size])
            self.size += size
        if self.sync:
            await writer.fdatasync()


async def report(copies: Copies) -> None:
    while True:
        await asyncio.sleep(1)
        print(f"{copies.size / 2**20:.0f} MiB so far", flush=True)


async def copy_all(options: argparse.Namespace) -> int:
    copies = Copies(options.jobs, options.sync)
    start = time.perf_counter()
    reporting = asyncio.create_task(report(copies))
    async with asyncio.TaskGroup() as group:
        for source in options.sources:
            group.create_task(copies.copy(source, options.directory / source.name))
    reporting.cancel()
    took = time.perf_counter() - start
    copied = len(options.sources) - copies.failures
    print(f"{copied} files, {copies.size} bytes in {took:.3f} s", flush=True)
    return 1 if copies.failures else 0


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("sources", type=pathlib.Path, nargs="+")
    options.add_argument("directory", type=pathlib.Path)
    options.add_argument("--jobs", type=int, default=8, help="how many at a time")
    options.add_argument("--sync", action="store_true", help="wait until it is on the disk")
    return zcloop.run(copy_all(options.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
