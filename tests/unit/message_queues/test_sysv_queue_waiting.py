"""Coroutines that wait on System V queues, each with a thread, and none for another."""

import asyncio
import contextlib
import errno
import random
import threading

import pytest
from blocked import interrupted_by, waiting_threads
from peers import io_passed
from waits import block_until

from zcloop.message_queues import SysvQueue

pytestmark = pytest.mark.zcloop_only


async def begin(coroutine):
    """A task that waits already."""
    task = asyncio.ensure_future(coroutine)
    await io_passed()
    assert not task.done()
    return task


def fill(queue):
    with contextlib.suppress(BlockingIOError):
        while True:
            queue.try_send(bytes(4096), 9)


def drain(queue):
    return [queue.try_receive() for _ in range(queue.status().messages)]


@pytest.mark.parametrize("data", [b"at last", b""])
async def test_a_message_ends_the_wait(sysv, data):
    receiving = await begin(sysv.receive())
    sysv.try_send(data, 4)
    assert await receiving == (data, 4)


async def test_one_who_waits_delays_no_other(sysv):
    """Each waits for a message that comes later than those of all who began after it."""
    receiving = [await begin(sysv.receive(kind)) for kind in range(1, 9)]
    for kind in reversed(range(1, 9)):
        sysv.try_send(b"%d" % kind, kind)
        assert await receiving[kind - 1] == (b"%d" % kind, kind)


async def test_queues_do_not_wait_for_each_other(sysv):
    others = [SysvQueue() for _ in range(5)]
    try:
        receiving = [await begin(other.receive()) for other in [sysv, *others]]
        for other, task in reversed(list(zip([sysv, *others], receiving, strict=True))):
            other.try_send(b"x")
            assert await task == (b"x", 1)
    finally:
        for other in others:
            other.remove()


async def test_each_message_goes_to_one_of_those_who_wait(sysv):
    receiving = [await begin(sysv.receive()) for _ in range(10)]
    for number in range(10):
        await sysv.send(b"%d" % number)
    got = await asyncio.gather(*receiving)
    assert sorted(int(data) for data, _ in got) == list(range(10))


async def test_room_ends_the_wait_of_a_full_queue(sysv):
    fill(sysv)
    sending = await begin(sysv.send(bytes(4096), 2))
    sysv.try_receive()
    await sending
    assert sysv.try_receive(2) == (bytes(4096), 2)


async def test_threads_are_there_while_somebody_waits(sysv):
    receiving = [await begin(sysv.receive()) for _ in range(5)]
    block_until(lambda: waiting_threads() == 5)
    for task in receiving[:3]:
        task.cancel()
    await asyncio.wait(receiving[:3])
    block_until(lambda: waiting_threads() == 2)
    sysv.try_send(b"x")
    sysv.try_send(b"y")
    await asyncio.gather(*receiving[3:])
    block_until(lambda: waiting_threads() == 0)


@pytest.mark.parametrize("data", [b"kept", b""])
async def test_a_cancelled_receive_has_taken_nothing(sysv, data):
    receiving = await begin(sysv.receive())
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    sysv.try_send(data)
    assert sysv.try_receive() == (data, 1)


async def test_a_cancelled_send_sends_nothing_later(sysv):
    fill(sysv)
    sending = await begin(sysv.send(bytes(4096), 2))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert {kind for _, kind in drain(sysv)} == {9}
    assert sysv.status().messages == 0


@pytest.mark.parametrize("data", [b"x", b""])
@pytest.mark.parametrize("turns", range(6))
async def test_a_receive_cancelled_when_the_message_has_come_leaves_it(sysv, turns, data):
    for number in range(1, 20):
        receiving = await begin(sysv.receive())
        sysv.try_send(data, number)
        for _ in range(turns):
            await asyncio.sleep(0)
        receiving.cancel()
        try:
            got = await receiving
        except asyncio.CancelledError:
            got = sysv.try_receive()
        assert got == (data, number)
        assert sysv.status().messages == 0


async def test_cancelled_at_random_every_message_arrives_once(sysv):
    source = random.Random(11)
    got = []

    async def receive():
        while True:
            try:
                async with asyncio.timeout(source.random() / 500):
                    got.append((await sysv.receive())[1])
            except TimeoutError:
                continue

    receiving = [asyncio.ensure_future(receive()) for _ in range(4)]
    for number in range(1, 1001):
        # Every other is empty: those come with the thread.
        await sysv.send(b"x" * (number % 2), number)
        if source.random() < 0.3:
            await asyncio.sleep(source.random() / 1000)
    while len(got) < 1000:
        await asyncio.sleep(0)
    for task in receiving:
        task.cancel()
    await asyncio.gather(*receiving, return_exceptions=True)
    assert sorted(got) == list(range(1, 1001))


@pytest.mark.parametrize("ending", ["close", "remove"])
@pytest.mark.parametrize("method", ["receive", "send"])
async def test_the_queues_end_is_that_of_those_who_wait(sysv, method, ending):
    if method == "send":
        fill(sysv)
    waiting = [
        await begin(sysv.receive() if method == "receive" else sysv.send(bytes(4096)))
        for _ in range(3)
    ]
    getattr(sysv, ending)()
    for task in waiting:
        with pytest.raises(OSError, match=r"gone|closed") as caught:
            await task
        assert caught.value.errno == (errno.EBADF if ending == "close" else errno.EIDRM)


async def test_a_close_in_another_thread_ends_those_who_wait(sysv):
    waiting = await begin(sysv.receive())
    thread = threading.Thread(target=sysv.close)
    thread.start()
    with pytest.raises(OSError, match="closed"):
        await waiting
    thread.join()


async def test_iteration_ends_when_the_queue_is_closed(sysv):
    got = []

    async def iterate():
        async for data, kind in sysv:
            got.append((data, kind))

    iterating = await begin(iterate())
    await sysv.send(b"one", 1)
    while not got:
        await asyncio.sleep(0)
    sysv.close()
    await iterating
    assert got == [(b"one", 1)]


def test_a_wait_goes_on_in_the_next_run_and_another_thread(sysv, loop):
    receiving = loop.create_task(sysv.receive())
    loop.run_until_complete(io_passed())
    sysv.try_send(b"between two runs")
    thread = threading.Thread(target=loop.run_until_complete, args=(receiving,))
    thread.start()
    thread.join()
    assert receiving.result() == (b"between two runs", 1)


def test_a_loop_closed_under_a_wait_leaves_no_thread(sysv, loop_factory):
    loop = loop_factory()
    operation = sysv._operation_receive()
    waiting = loop.create_task(loop.perform(operation))
    loop.run_until_complete(io_passed())
    block_until(lambda: waiting_threads() == 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(waiting)
    loop.close()
    del operation, waiting
    block_until(lambda: waiting_threads() == 0)
    sysv.try_send(b"")
    assert sysv.status().messages == 1


def test_a_blocking_receive_runs_signal_handlers_and_goes_on(sysv):
    with interrupted_by(lambda: sysv.try_send(b"from the handler")):
        assert sysv.receive_blocking(timeout=20) == (b"from the handler", 1)


def test_an_exception_of_a_signal_handler_ends_a_blocking_send(sysv):
    class EnoughError(Exception):
        pass

    def handle():
        raise EnoughError

    fill(sysv)
    with pytest.raises(EnoughError), interrupted_by(handle):
        sysv.send_blocking(bytes(4096), 2)
    assert {kind for _, kind in drain(sysv)} == {9}
