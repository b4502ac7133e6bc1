"""Core.perform: an operation's outcome, whenever who waits for it is cancelled."""

import asyncio
import errno
import os
import select

import pytest

from zcloop._native.operation import request

pytestmark = pytest.mark.zcloop_only


async def test_the_outcome_or_minus_errno_comes_back(tmp_path):
    loop = asyncio.get_running_loop()
    fd = await loop.perform(request.openat(tmp_path / "file", os.O_CREAT | os.O_RDWR))
    assert await loop.perform(request.write(fd, b"abc", 0)) == 3
    buffer = bytearray(5)
    assert await loop.perform(request.read(fd, buffer, 1)) == 2
    assert buffer == b"bc\0\0\0"
    assert await loop.perform(request.close(fd)) == 0
    assert await loop.perform(request.close(fd)) == -errno.EBADF
    assert await loop.perform(request.openat(tmp_path / "none", 0)) == -errno.ENOENT


@pytest.mark.parametrize("turns", range(6))
async def test_an_open_that_is_cancelled_at_any_moment_leaves_no_descriptor(tmp_path, turns):
    loop = asyncio.get_running_loop()
    opening = loop.create_task(loop.perform(request.openat("/dev/null", os.O_RDONLY)))
    for _ in range(turns):
        await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    if not opening.cancelled():
        os.close(opening.result())


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancelled_wait_ends_and_keeps_its_memory_until_then(turns):
    loop = asyncio.get_running_loop()
    source, target = os.pipe()
    buffer = bytearray(4)
    reading = loop.create_task(loop.perform(request.read(source, buffer)))
    for _ in range(turns):
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.wait([reading])
    assert reading.cancelled()
    while len(buffer) == 4:
        try:
            buffer.append(0)
        except BufferError:  # the kernel is not done
            await asyncio.sleep(0)
    os.write(target, b"kept")
    assert os.read(source, 9) == b"kept"
    os.close(source)
    os.close(target)


async def test_what_a_request_holds_stays_until_the_kernel_is_done():
    loop = asyncio.get_running_loop()
    source, target = os.pipe()
    with pytest.warns(ResourceWarning):  # noqa: PT031
        poll = request.poll(source, select.POLLIN).holding(open(target, "wb"))  # noqa: SIM115
        polling = loop.create_task(loop.perform(poll))
        await asyncio.sleep(0)
        os.write(target, b"x")
        assert await polling == select.POLLIN
        del polling, poll
        while True:
            try:
                os.fstat(target)
            except OSError:
                break
            await asyncio.sleep(0)
    os.close(source)


async def test_an_operation_in_flight_is_not_performed_twice():
    loop = asyncio.get_running_loop()
    source, target = os.pipe()
    poll = request.poll(source, select.POLLIN)
    polling = loop.create_task(loop.perform(poll))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="in flight already"):
        await loop.perform(poll)
    loop.cancel_operation(poll)
    assert await polling == -errno.ECANCELED
    os.write(target, b"x")
    assert await loop.perform(poll) == select.POLLIN  # again, once it is over
    os.close(source)
    os.close(target)


def test_a_closed_loop_performs_nothing(loop_factory):
    loop = loop_factory()
    loop.close()
    performing = loop.perform(request.nop())
    with pytest.raises(RuntimeError, match="closed"):
        performing.send(None)


def test_a_wait_goes_on_when_the_loop_pauses(run):
    async def start() -> tuple:
        source, target = os.pipe()
        loop = asyncio.get_running_loop()
        polling = loop.create_task(loop.perform(request.poll(source, select.POLLIN)))
        await asyncio.sleep(0)
        return source, target, polling

    source, target, polling = run(start())
    os.write(target, b"x")

    async def finish() -> int:
        return await polling

    assert run(finish()) == select.POLLIN
    os.close(source)
    os.close(target)


async def test_what_is_no_operation_is_refused():
    loop = asyncio.get_running_loop()
    for thing in (None, 1, "nop"):
        with pytest.raises(TypeError, match="Operation"):
            await loop.perform(thing)
