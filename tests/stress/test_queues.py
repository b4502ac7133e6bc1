"""10^5 messages between two processes, sent and received by tasks that are cancelled; seeded."""

import asyncio
import collections
import contextlib
import os
import random
import struct
import time
import uuid
import zlib

import pytest

from zcloop.message_queues import PosixQueue, SysvQueue, SysvSemaphore

MESSAGES = 100_000
SENDERS = 4
RECEIVERS = 3
HEAD = struct.Struct("<III")  # sender, number of the sender's, checksum of the rest

pytestmark = [pytest.mark.zcloop_only, pytest.mark.seconds(120)]


@pytest.fixture
def posix():
    with PosixQueue(f"/zcloop-stress-{uuid.uuid4().hex[:8]}", create=True, msgsize=256) as queue:
        yield queue
        queue.unlink()


@pytest.fixture
def sysv():
    with SysvQueue() as queue:
        yield queue
        queue.remove()


def forked(loop_factory, coroutine_function):
    """Fork a child that runs it on a loop of its own; return its pid."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            with asyncio.Runner(loop_factory=loop_factory) as runner:
                runner.run(coroutine_function())
            status = 0
        finally:
            os._exit(status)
    return pid


async def send_all(queue, seed, sender, lowest):
    """A cancelled send of a POSIX queue has sent nothing, so it is tried again."""
    source = random.Random(f"{seed}-{sender}")
    for number in range(MESSAGES // SENDERS):
        body = source.randbytes(source.randrange(200))
        message = HEAD.pack(sender, number, zlib.crc32(body)) + body
        kind = lowest + source.randrange(4)
        while True:
            patience = (
                source.choice([0.0001, 0.01]) if lowest == 0 and source.random() < 0.01 else 60
            )
            try:
                async with asyncio.timeout(patience):
                    await queue.send(message, kind)
                break
            except TimeoutError:
                assert patience < 60


class Books:
    """Knows what has come, and whether a message may come now."""

    def __init__(self):
        self.count = 0
        self.seen = collections.defaultdict(set)
        self.last = {}

    def note(self, message, kind):
        sender, number, checksum = HEAD.unpack_from(message)
        assert zlib.crc32(message[HEAD.size :]) == checksum
        assert number not in self.seen[sender]
        self.seen[sender].add(number)
        # One sender's messages of one kind are in order.
        assert self.last.get((sender, kind), -1) < number
        self.last[sender, kind] = number
        self.count += 1


async def receive_all(queue, source, books):
    while books.count < MESSAGES:
        patience = source.choice([0.0001, 0.001, 0.1])
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while books.count < MESSAGES:
                    books.note(*await queue.receive())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["posix", "sysv"])
def test_every_message_arrives_once_and_in_order(request, loop_factory, kind, seed):
    queue = request.getfixturevalue(kind)
    lowest = 0 if kind == "posix" else 1

    async def send():
        await asyncio.gather(*(send_all(queue, seed, sender, lowest) for sender in range(SENDERS)))

    pid = forked(loop_factory, send)
    books = Books()
    source = random.Random(seed)

    async def receive():
        await asyncio.gather(*(receive_all(queue, source, books) for _ in range(RECEIVERS)))

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(receive())
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert {sender: len(numbers) for sender, numbers in books.seen.items()} == dict.fromkeys(
        range(SENDERS), MESSAGES // SENDERS
    )


def test_who_waits_uses_no_processor(loop_factory, posix, sysv):
    """Nothing polls: the CPU time of a second in which 20 tasks wait on each kind shows it."""

    async def main():
        waiting = [asyncio.ensure_future(posix.receive()) for _ in range(20)]
        waiting += [asyncio.ensure_future(sysv.receive(kind)) for kind in range(1, 21)]
        await asyncio.sleep(0.1)
        begin = time.process_time()
        await asyncio.sleep(1)
        spent = time.process_time() - begin
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        return spent

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(main()) < 0.02


def test_two_processes_exclude_each_other_by_a_semaphore(loop_factory):
    """Each adds to a number in a file. The number is right only if they never do so together."""
    rounds = 5000
    semaphore = SysvSemaphore()
    reading = os.memfd_create("count")
    os.pwrite(reading, struct.pack("<q", 0), 0)

    async def count(seed):
        source = random.Random(seed)
        for _ in range(rounds):
            while True:
                try:
                    async with asyncio.timeout(source.choice([0.0001, 60, 60, 60])):
                        await semaphore.acquire(undo=True)
                    break
                except TimeoutError:
                    continue
            value = struct.unpack("<q", os.pread(reading, 8, 0))[0]
            if source.random() < 0.2:
                await asyncio.sleep(0)
            os.pwrite(reading, struct.pack("<q", value + 1), 0)
            semaphore.release(undo=True)

    async def both(seed):
        await asyncio.gather(count(seed), count(seed + 1))

    try:
        pid = forked(loop_factory, lambda: both(0))
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(both(2))
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert struct.unpack("<q", os.pread(reading, 8, 0))[0] == 4 * rounds
        assert semaphore.values() == [1]
    finally:
        semaphore.remove()
        os.close(reading)
