"""Coroutines that wait on a POSIX queue: none loses a message, none is left behind."""

import asyncio
import errno
import random
import threading

import pytest
from blocked import interrupted_by
from peers import io_passed

from zcloop.message_queues import PosixQueue

pytestmark = pytest.mark.zcloop_only


async def begin(coroutine):
    """A task that waits already."""
    task = asyncio.ensure_future(coroutine)
    await io_passed()
    assert not task.done()
    return task


def fill(queue):
    for _ in range(queue.getattr().maxmsg):
        queue.try_send(b"filling")


def drain(queue):
    return [queue.try_receive() for _ in range(queue.getattr().curmsgs)]


async def test_a_message_ends_the_wait(queue):
    receiving = await begin(queue.receive())
    queue.try_send(b"at last", 4)
    assert await receiving == (b"at last", 4)


async def test_a_message_is_received_into_the_buffer_that_waits(queue):
    buffer = bytearray(64)
    receiving = await begin(queue.receive_into(buffer))
    with pytest.raises(BufferError):
        buffer.clear()  # exported while it waits
    queue.try_send(b"at last", 4)
    assert await receiving == (7, 4)
    assert buffer[:7] == b"at last"


async def test_room_ends_the_wait_of_a_full_queue(queue):
    fill(queue)
    sending = await begin(queue.send(b"last", 0))
    queue.try_receive()
    await sending
    assert drain(queue)[-1] == (b"last", 0)


async def test_each_message_goes_to_one_of_those_who_wait(queue):
    receiving = [await begin(queue.receive()) for _ in range(20)]
    for number in range(20):
        await queue.send(b"%d" % number)
    got = await asyncio.gather(*receiving)
    assert sorted(int(data) for data, _ in got) == list(range(20))


async def test_many_senders_get_their_turn_through_a_small_queue(queue):
    sending = [asyncio.ensure_future(queue.send(b"%d" % number)) for number in range(50)]
    got = [await queue.receive() for _ in range(50)]
    await asyncio.gather(*sending)
    assert sorted(int(data) for data, _ in got) == list(range(50))


async def test_a_cancelled_receive_has_taken_nothing(queue):
    receiving = await begin(queue.receive())
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    queue.try_send(b"kept")
    assert queue.try_receive() == (b"kept", 0)


async def test_a_cancelled_send_has_sent_nothing(queue):
    fill(queue)
    sending = await begin(queue.send(b"never", 9))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert drain(queue) == [(b"filling", 0)] * 4
    assert queue.getattr().curmsgs == 0


@pytest.mark.parametrize("turns", range(6))
async def test_a_receive_cancelled_when_the_message_has_come_leaves_it(queue, turns):
    for number in range(30):
        receiving = await begin(queue.receive())
        queue.try_send(b"%d" % number)
        for _ in range(turns):
            await asyncio.sleep(0)
        receiving.cancel()
        try:
            got = await receiving
        except asyncio.CancelledError:
            got = queue.try_receive()
        assert got == (b"%d" % number, 0)
        assert queue.getattr().curmsgs == 0


async def test_cancelled_at_random_every_message_arrives_once(queue):
    source = random.Random(7)
    got = []

    async def receive():
        while True:
            try:
                async with asyncio.timeout(source.random() / 2000):
                    got.append(int((await queue.receive())[0]))
            except TimeoutError:
                continue

    receiving = [asyncio.ensure_future(receive()) for _ in range(5)]
    for number in range(2000):
        await queue.send(b"%d" % number)
        if source.random() < 0.3:
            await asyncio.sleep(source.random() / 1000)
    while queue.getattr().curmsgs:
        await asyncio.sleep(0)
    for task in receiving:
        task.cancel()
    await asyncio.gather(*receiving, return_exceptions=True)
    assert sorted(got) == list(range(2000))


@pytest.mark.parametrize("method", ["receive", "send"])
async def test_a_close_ends_those_who_wait(queue, method):
    if method == "send":
        fill(queue)
    waiting = [
        await begin(queue.receive() if method == "receive" else queue.send(b"x")) for _ in range(3)
    ]
    queue.close()
    for task in waiting:
        with pytest.raises(OSError, match="is closed") as caught:
            await task
        assert caught.value.errno == errno.EBADF


async def test_a_close_in_another_thread_ends_those_who_wait(queue):
    waiting = await begin(queue.receive())
    thread = threading.Thread(target=queue.close)
    thread.start()
    with pytest.raises(OSError, match="is closed"):
        await waiting
    thread.join()


async def test_the_next_queue_with_the_same_descriptor_is_left_alone(queue, name):
    waiting = await begin(queue.receive())
    number = queue.fileno()
    queue.close()
    with PosixQueue(name) as other:
        assert other.fileno() == number
        other.try_send(b"for others")
        with pytest.raises(OSError, match="is closed"):
            await waiting
        assert other.try_receive() == (b"for others", 0)


async def test_iteration_ends_when_the_queue_is_closed(queue):
    got = []

    async def iterate():
        async for data, priority in queue:
            got.append((data, priority))

    iterating = await begin(iterate())
    await queue.send(b"one", 1)
    await queue.send(b"two", 0)
    while len(got) < 2:
        await asyncio.sleep(0)
    queue.close()
    await iterating
    assert got == [(b"one", 1), (b"two", 0)]


async def test_a_queue_that_never_runs_dry_leaves_the_loop_its_turns(queue):
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.ensure_future(count())
    await asyncio.sleep(0)
    for _ in range(1000):
        await queue.send(b"x")
        await queue.receive()
    counting.cancel()
    assert turns >= 10


def test_a_wait_goes_on_in_the_next_run_and_another_thread(queue, loop):
    receiving = loop.create_task(queue.receive())
    loop.run_until_complete(io_passed())
    queue.try_send(b"between two runs")
    thread = threading.Thread(target=loop.run_until_complete, args=(receiving,))
    thread.start()
    thread.join()
    assert receiving.result() == (b"between two runs", 0)


def test_a_blocking_receive_runs_signal_handlers_and_goes_on(queue):
    with interrupted_by(lambda: queue.try_send(b"from the handler")):
        assert queue.receive_blocking(timeout=20) == (b"from the handler", 0)


def test_an_exception_of_a_signal_handler_ends_a_blocking_send(queue):
    class EnoughError(Exception):
        pass

    def handle():
        raise EnoughError

    fill(queue)
    with pytest.raises(EnoughError), interrupted_by(handle):
        queue.send_blocking(b"x", timeout=20)
    assert drain(queue) == [(b"filling", 0)] * 4
