"""nest_asyncio cannot patch a loop whose turn is native: it is told so, and nothing is broken."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio
import inspect
import pkgutil

import nest_asyncio

new_event_loop = pkgutil.resolve_name(%r)


async def work():
    await asyncio.sleep(0.001)
    return await asyncio.to_thread(int)


async def nest():
    try:
        nest_asyncio.apply()
    except ValueError as error:
        print("inside:", error)
    return await work()


def run(main):
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(main)


loop = new_event_loop()
assert not hasattr(loop, "_nest_patched") and inspect.getmembers(loop)
before = dict(vars(type(loop)))
try:
    nest_asyncio.apply(loop)
except ValueError as error:
    print("outside:", error)
assert dict(vars(type(loop))) == before
assert loop.run_until_complete(work()) == 0
loop.run_until_complete(loop.shutdown_default_executor())
loop.close()
assert run(work()) == run(nest()) == run(work()) == 0

theirs = asyncio.SelectorEventLoop()
nest_asyncio.apply(theirs)
assert theirs.run_until_complete(work()) == 0
theirs.run_until_complete(theirs.shutdown_default_executor())
theirs.close()
"""


def test_it_is_refused_with_a_reason_and_every_loop_works_on(loop_name):
    if not loop_name.startswith("zcloop"):
        pytest.skip(f"{loop_name} is patched, or refused by nest_asyncio itself")
    done = subprocess.run(
        (sys.executable, "-P", "-c", PROGRAM % loop_name),
        capture_output=True, text=True, timeout=25,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    outside, inside = done.stdout.splitlines()
    for said, where in ((outside, "outside"), (inside, "inside")):
        assert said.startswith(f"{where}: nest_asyncio cannot nest the runs of a zcloop loop")
