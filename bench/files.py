"""Files: zcloop.files against aiofiles and threads, in interleaved rounds.

    python -m bench.files
    python -m bench.files --rounds 5 --markdown build/files.md

Each measurement is a process of its own. CPU is the user and system time of all its threads,
including the kernel's workers of its ring. `blocking` is the floor: it has no loop at all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

FILE_SIZE = 64 << 20
BLOCK = 4096
SEQUENTIAL = 1 << 20
SMALL_SIZE = 2048
SCENARIOS = {
    "random 4 KiB, cached": 20_000,
    "random 4 KiB, O_DIRECT": 3_000,
    "sequential 1 MiB": 640,
    "small files": 10_000,
}
CONTESTANTS = ("zcloop.files", "aiofiles", "threads", "blocking")

Read = Callable[[int], Awaitable[Any]]


def offsets(count: int) -> list[int]:
    """Choose places to read, the same for all contestants."""
    source = random.Random(7)
    return [source.randrange(FILE_SIZE // BLOCK) * BLOCK for _ in range(count)]


def blocking(scenario: str, directory: str, count: int) -> None:
    """Make the system calls one after another: the floor."""
    path = f"{directory}/data"
    if scenario == "small files":
        for index in range(count):
            small_file(f"{directory}/small-{index}")
        return
    if scenario.startswith("sequential"):
        with open(path, "rb", 0) as file:
            for _ in range(count):
                if not file.read(SEQUENTIAL):
                    file.seek(0)
        return
    is_direct = scenario.endswith("O_DIRECT")
    fd = os.open(path, os.O_RDONLY | (os.O_DIRECT if is_direct else 0))
    buffer = mmap.mmap(-1, BLOCK)
    for offset in offsets(count):
        os.preadv(fd, [buffer], offset) if is_direct else os.pread(fd, BLOCK, offset)
    os.close(fd)


def small_file(path: str) -> None:
    """Do to a small file what the scenario asks, blocking."""
    with open(path, "wb") as file:
        file.write(bytes(SMALL_SIZE))
    with open(path, "rb") as file:
        assert len(file.read()) == SMALL_SIZE
    os.unlink(path)


async def threads(scenario: str, directory: str, count: int) -> None:
    """Make each call in a thread of the loop's executor."""
    call = asyncio.get_running_loop().run_in_executor
    path = f"{directory}/data"
    if scenario == "small files":
        for index in range(count):
            await call(None, small_file, f"{directory}/small-{index}")
        return
    is_direct = scenario.endswith("O_DIRECT")
    fd = os.open(path, os.O_RDONLY | (os.O_DIRECT if is_direct else 0))
    if scenario.startswith("sequential"):
        for index in range(count):
            await call(None, os.pread, fd, SEQUENTIAL, index * SEQUENTIAL % FILE_SIZE)
    elif is_direct:
        buffer = mmap.mmap(-1, BLOCK)
        for offset in offsets(count):
            await call(None, os.preadv, fd, [buffer], offset)
    else:
        for offset in offsets(count):
            await call(None, os.pread, fd, BLOCK, offset)
    os.close(fd)


async def with_aiofiles(scenario: str, directory: str, count: int) -> None:
    """Seek and read, as users of aiofiles do."""
    import aiofiles  # type: ignore[import-untyped, unused-ignore]
    import aiofiles.os  # type: ignore[import-untyped, unused-ignore]

    if scenario == "small files":
        for index in range(count):
            path = f"{directory}/small-{index}"
            async with aiofiles.open(path, "wb") as file:
                await file.write(bytes(SMALL_SIZE))
            async with aiofiles.open(path, "rb") as file:
                assert len(await file.read()) == SMALL_SIZE
            await aiofiles.os.unlink(path)
        return
    async with aiofiles.open(f"{directory}/data", "rb", buffering=0) as file:
        if scenario.startswith("sequential"):
            for _ in range(count):
                if not await file.read(SEQUENTIAL):
                    await file.seek(0)
        else:
            for offset in offsets(count):
                await file.seek(offset)
                await file.read(BLOCK)


async def with_zcloop(scenario: str, directory: str, count: int) -> None:
    """Use zcloop.files."""
    from zcloop import files

    if scenario == "small files":
        for index in range(count):
            path = f"{directory}/small-{index}"
            async with files.open(path, "wb") as file:
                await file.write(bytes(SMALL_SIZE))
            async with files.open(path, "rb") as file:
                assert len(await file.read()) == SMALL_SIZE
            os.unlink(path)  # noqa: ASYNC240, RUF100
        return
    is_direct = scenario.endswith("O_DIRECT")
    flags = os.O_DIRECT if is_direct else 0
    async with files.open(f"{directory}/data", "rb", 0, flags=flags) as file:
        if scenario.startswith("sequential"):
            for _ in range(count):
                if not await file.read(SEQUENTIAL):
                    await file.seek(0)
        elif is_direct:
            buffer = mmap.mmap(-1, BLOCK)
            for offset in offsets(count):
                await file.preadv([buffer], offset)
        else:
            for offset in offsets(count):
                await file.seek(offset)
                await file.read(BLOCK)


def run_one(contestant: str, scenario: str, directory: str, count: int) -> None:
    """Measure once, in this process, and print the seconds and the CPU seconds."""
    start, cpu = time.perf_counter(), time.process_time()
    if contestant == "blocking":
        blocking(scenario, directory, count)
    elif contestant == "zcloop.files":
        import zcloop

        zcloop.run(with_zcloop(scenario, directory, count))
    else:
        body = with_aiofiles if contestant == "aiofiles" else threads
        asyncio.run(body(scenario, directory, count))
    print(json.dumps([time.perf_counter() - start, time.process_time() - cpu]))


def measure(contestant: str, scenario: str, directory: str, count: int) -> tuple[float, float]:
    """Return operations a second, and microseconds of CPU an operation."""
    command = [sys.executable, "-m", "bench.files", "--one", contestant, scenario]
    command += ["--directory", directory, "--count", str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    seconds, cpu = json.loads(done.stdout)
    return count / seconds, cpu / count * 1e6


def row(scenario: str, samples: dict[str, list[tuple[float, float]]]) -> list[str]:
    """Make a line of the table: medians, and ratios of zcloop.files to the others by round."""
    cells = [scenario]
    ours = samples["zcloop.files"]
    for name in CONTESTANTS:
        theirs = samples.get(name)
        if theirs is None:
            cells.append("cannot")
            continue
        rate, cpu = (statistics.median(one[index] for one in theirs) for index in (0, 1))
        text = f"{rate:,.0f}/s, {cpu:.1f} µs"
        if name != "zcloop.files":
            pairs = list(zip(ours, theirs, strict=True))
            faster = statistics.median(one[0] / other[0] for one, other in pairs)
            less = statistics.median(one[1] / other[1] for one, other in pairs)
            text += f" ({faster:.2f}x, CPU {less:.2f}x)"
        cells.append(text)
    return cells


def table(rows: list[list[str]]) -> str:
    """Make Markdown: operations a second, CPU an operation, and how zcloop.files compares."""
    lines = [["", *CONTESTANTS], ["---"] * (len(CONTESTANTS) + 1), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def compare(rounds: int, share: float, place: str | None) -> str:
    """Measure all scenarios, each in rounds in which the contestants take turns."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="zcloop-files-", dir=place) as directory:
        Path(directory, "data").write_bytes(os.urandom(FILE_SIZE))
        os.sync()  # else the disk would still be busy with it
        for scenario, most in SCENARIOS.items():
            count = max(1, int(most * share))
            samples: dict[str, list[tuple[float, float]]] = {}
            for _ in range(rounds):
                for name in CONTESTANTS:
                    if name == "aiofiles" and scenario.endswith("O_DIRECT"):
                        continue  # it has no way to give aligned memory
                    one = measure(name, scenario, directory, count)
                    samples.setdefault(name, []).append(one)
            rows.append(row(scenario, samples))
    return table(rows)


def main() -> None:
    """Measure what the command line names."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--share", type=float, default=1.0, help="of the operations")
    options.add_argument("--directory", help="on which file system; default the temporary one")
    options.add_argument("--markdown", metavar="FILE")
    options.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options.add_argument("--count", type=int, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.one:
        contestant, scenario = chosen.one
        run_one(contestant, scenario, chosen.directory, chosen.count)
        return
    text = compare(chosen.rounds, chosen.share, chosen.directory)
    print(text, end="")
    if chosen.markdown:
        Path(chosen.markdown).write_text(text)


if __name__ == "__main__":
    main()
