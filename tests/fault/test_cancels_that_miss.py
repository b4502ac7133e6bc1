"""A cancel that does not find its request, which is between its poll and a worker just then, as a
write to a full pipe is before Linux 6.5."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest
from refusals import refusing
from waits import until

from zcloop import files
from zcloop._native.operation.files import read

# What the kernel's ring answers is made up.
pytestmark = [pytest.mark.zcloop_only, pytest.mark.needs("uring")]


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize("misses", [0, 1, 3])
def test_it_is_asked_for_again(loop_factory, pipe, misses):
    async def main():
        loop = asyncio.get_running_loop()
        asked = read(pipe[0], bytearray(1))
        reading = asyncio.create_task(loop.perform(asked))
        await asyncio.sleep(0)
        loop.cancel_operation(asked)
        return await reading

    with (
        refusing([], missed_cancels=misses) as missed,
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        assert runner.run(main()) == -errno.ECANCELED
    assert sum(missed) == misses


def test_in_vain_it_is_given_up_and_the_loop_sleeps(loop_factory, pipe):
    async def main():
        loop = asyncio.get_running_loop()
        asked = read(pipe[0], bytearray(1))
        reading = asyncio.create_task(loop.perform(asked))
        await asyncio.sleep(0)
        loop.cancel_operation(asked)
        await asyncio.sleep(0.05)
        before = loop.statistics()["enters"]
        await asyncio.sleep(0.05)
        assert loop.statistics()["enters"] - before < 15
        os.write(pipe[1], b"x")
        return await reading

    with (
        refusing([], missed_cancels=1000) as missed,
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        assert runner.run(main()) == 1
    assert sum(missed) <= 16


def test_close_ends_who_waits_for_room(loop_factory):
    async def main():
        source, target = os.pipe()
        file = await files.open(target, "wb", 0)
        file._writes_at_once = False  # as of pipes before Linux 6.5
        writing = asyncio.create_task(file.write(bytes(1_000_000)))
        await until(lambda: file._waits)
        await file.close()
        with pytest.raises(ValueError, match="closed file"):
            await asyncio.wait_for(writing, 10)
        os.close(source)

    with (
        refusing([], missed_cancels=2),
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        runner.run(main())
