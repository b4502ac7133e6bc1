"""The shell's `seq 1 N | grep -v 7 | sort -r | sha256sum`, built on asyncio.subprocess and checked.

    python examples/subprocess_pipeline.py
    python examples/subprocess_pipeline.py --lines 1000000 --loop asyncio:new_event_loop

It is built twice. First the processes share pipes, as in a shell, and the loop only waits for
their ends; then the loop itself carries every byte from one process to the next, and the slowest
one sets the pace. Both digests must be the one that Python computes by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import itertools
import os
import pkgutil
import sys
from asyncio.subprocess import PIPE, Process

CHUNK_SIZE = 64 * 1024
# `sort` must order bytes, not the words of somebody's language.
ENVIRONMENT = {**os.environ, "LC_ALL": "C"}


def pipeline(lines: int) -> list[list[str]]:
    return [["seq", "1", str(lines)], ["grep", "-v", "7"], ["sort", "-r"], ["sha256sum"]]


def expected(lines: int) -> str:
    kept = [number for number in map(str, range(1, lines + 1)) if "7" not in number]
    kept.sort(reverse=True)
    return hashlib.sha256("".join(f"{number}\n" for number in kept).encode()).hexdigest()


async def start(command: list[str], stdin: int, stdout: int) -> Process:
    return await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=stdout, env=ENVIRONMENT
    )


async def by_the_kernel(commands: list[list[str]]) -> str:
    """Join the processes by pipes of the kernel's; returns what the last one prints."""
    processes: list[Process] = []
    upstream = asyncio.subprocess.DEVNULL
    for command in commands[:-1]:
        downstream, stdout = os.pipe()
        try:
            processes.append(await start(command, upstream, stdout))
        finally:
            # The processes hold their own copies; ours would keep the reader from its end.
            os.close(stdout)
            if upstream >= 0:
                os.close(upstream)
        upstream = downstream
    try:
        processes.append(await start(commands[-1], upstream, PIPE))
    finally:
        os.close(upstream)
    output, _ = await processes[-1].communicate()
    await all_succeed(processes)
    return output.decode()


async def by_the_loop(commands: list[list[str]]) -> str:
    """Carry the bytes from process to process in this one; returns what the last one prints."""
    processes = [await start(command, PIPE, PIPE) for command in commands]
    processes[0].stdin.close()
    async with asyncio.TaskGroup() as tasks:
        for source, target in itertools.pairwise(processes):
            tasks.create_task(carry(source.stdout, target.stdin))
        printed = tasks.create_task(processes[-1].stdout.read())
    await all_succeed(processes)
    return printed.result().decode()


async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    # A process that wants no more input closes its end; its exit status says what that meant.
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(CHUNK_SIZE):
            target.write(chunk)
            await target.drain()
        target.close()
        await target.wait_closed()


async def all_succeed(processes: list[Process]) -> None:
    statuses = [await process.wait() for process in processes]
    if any(statuses):
        sys.exit(f"exit statuses {statuses}")


async def compare(lines: int) -> None:
    want = expected(lines)
    for join in (by_the_kernel, by_the_loop):
        got = (await join(pipeline(lines))).split()[0]
        if got != want:
            sys.exit(f"{join.__name__}: got {got}, expected {want}")
        print(f"{join.__name__}: ok {got}", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--lines", type=int, default=100_000)
    options.add_argument(
        "--loop",
        metavar="MODULE:FACTORY",
        type=pkgutil.resolve_name,
        default="zcloop:new_event_loop",
    )
    chosen = options.parse_args()
    with asyncio.Runner(loop_factory=chosen.loop) as runner:
        runner.run(compare(chosen.lines))


if __name__ == "__main__":
    main()
