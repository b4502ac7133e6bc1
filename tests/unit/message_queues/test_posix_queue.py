"""What a POSIX queue does when nobody has to wait."""

import os

import pytest

from zcloop.message_queues import PosixQueue, unlink

pytestmark = pytest.mark.zcloop_only


async def test_messages_come_by_priority_and_in_order_within_one(queue):
    for data, priority in ((b"a", 1), (b"b", 7), (b"c", 1), (b"d", 7)):
        await queue.send(data, priority)
    got = [await queue.receive() for _ in range(4)]
    assert got == [(b"b", 7), (b"d", 7), (b"a", 1), (b"c", 1)]


async def test_a_message_is_whole_and_may_be_empty(queue):
    await queue.send(bytes(64))
    await queue.send(b"")
    assert await queue.receive() == (bytes(64), 0)
    assert await queue.receive() == (b"", 0)


async def test_any_buffer_can_be_sent(queue):
    for data in (bytearray(b"one"), memoryview(b"-two-")[1:4], b"three"):
        await queue.send(data)
    assert [(await queue.receive())[0] for _ in range(3)] == [b"one", b"two", b"three"]


async def test_received_into_a_buffer_nothing_beyond_the_message_is_touched(queue):
    buffer = bytearray(b"." * 70)
    await queue.send(b"message", 3)
    assert await queue.receive_into(memoryview(buffer)[:64]) == (7, 3)
    assert buffer == b"message" + b"." * 63


def test_what_cannot_be_done_at_once_says_so(queue):
    with pytest.raises(BlockingIOError, match="no message in '/zcloop"):
        queue.try_receive()
    for number in range(4):
        queue.try_send(b"%d" % number)
    with pytest.raises(BlockingIOError, match="is full: 4 messages"):
        queue.try_send(b"one more")
    assert [queue.try_receive() for _ in range(4)] == [(b"%d" % each, 0) for each in range(4)]


def test_attributes_are_those_asked_for(queue):
    queue.try_send(b"one")
    assert queue.getattr() == (0, 4, 64, 1)
    assert queue.setattr(os.O_NONBLOCK).flags == 0
    assert queue.getattr().flags == os.O_NONBLOCK


def test_a_queue_made_with_one_attribute_has_the_systems_default_for_the_other(name):
    with PosixQueue(name, create=True, msgsize=100) as queue:
        assert queue.getattr().msgsize == 100
        assert queue.getattr().maxmsg > 0


def test_blocking_calls_fail_at_once_on_a_queue_set_not_to_block(queue):
    queue.setattr(os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        queue.receive_blocking()
    with pytest.raises(BlockingIOError):
        for _ in range(5):
            queue.send_blocking(b"x")


async def test_coroutines_wait_whether_the_queue_blocks_or_not(queue):
    for flags in (os.O_NONBLOCK, 0):
        queue.setattr(flags)
        await queue.send(b"x")
        assert await queue.receive() == (b"x", 0)


def test_blocking_calls_time_out_and_take_nothing(queue):
    with pytest.raises(TimeoutError):
        queue.receive_blocking(timeout=0.01)
    for _ in range(4):
        queue.send_blocking(b"x", 2, timeout=10)
    with pytest.raises(TimeoutError):
        queue.send_blocking(b"not this one", timeout=0.01)
    assert [queue.receive_blocking(timeout=0) for _ in range(4)] == [(b"x", 2)] * 4


def test_a_queue_outlives_who_made_it_until_it_is_unlinked(name):
    with PosixQueue(name, create=True) as first:
        first.try_send(b"kept", 9)
    with PosixQueue(name) as second:
        assert second.try_receive() == (b"kept", 9)
        second.unlink()
        second.try_send(b"still open")
        assert second.try_receive() == (b"still open", 0)
    with pytest.raises(FileNotFoundError):
        PosixQueue(name)


def test_an_exclusive_queue_is_new(name):
    PosixQueue(name, create=True, exclusive=True).close()
    with pytest.raises(FileExistsError, match=name):
        PosixQueue(name, create=True, exclusive=True)
    unlink(name)


def test_the_descriptor_is_not_inherited_by_programs(queue):
    assert not os.get_inheritable(queue.fileno())


def test_closing_twice_is_closing_once(queue):
    queue.close()
    queue.close()
    assert queue.closed
    assert queue.fileno() == -1
    assert "closed" in repr(queue)
