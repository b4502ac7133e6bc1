"""What a System V queue does when nobody has to wait, and what it refuses."""

import asyncio
import errno
import os
import pathlib

import pytest

from zcloop.message_queues import SysvQueue, ftok

pytestmark = pytest.mark.zcloop_only


async def test_messages_of_any_type_come_in_order(sysv):
    for data, kind in ((b"a", 3), (b"b", 1), (b"c", 2)):
        await sysv.send(data, kind)
    assert [await sysv.receive() for _ in range(3)] == [(b"a", 3), (b"b", 1), (b"c", 2)]


async def test_types_select(sysv):
    for data, kind in ((b"a", 3), (b"b", 1), (b"c", 2), (b"d", 3), (b"e", 9)):
        await sysv.send(data, kind)
    assert await sysv.receive(2) == (b"c", 2)
    assert await sysv.receive(-5) == (b"b", 1)
    assert await sysv.receive(3, excluded=True) == (b"e", 9)
    assert [await sysv.receive(3) for _ in range(2)] == [(b"a", 3), (b"d", 3)]


async def test_messages_are_whole_empty_or_large(sysv):
    largest = min(sysv.status().bytes_max, int(pathlib.Path("/proc/sys/kernel/msgmax").read_text()))
    for size in (0, 1, largest):
        data = os.urandom(size)
        await sysv.send(data, 1 << 40)
        assert await sysv.receive() == (data, 1 << 40)


@pytest.mark.parametrize("data", [bytearray(b"data"), memoryview(b"-data-")[1:5], b"data"])
async def test_any_buffer_can_be_sent(sysv, data):
    await sysv.send(data)
    assert await sysv.receive() == (b"data", 1)


def test_what_cannot_be_done_at_once_says_so(sysv):
    with pytest.raises(BlockingIOError, match="no such message"):
        sysv.try_receive()
    sysv.try_send(b"x", 4)
    with pytest.raises(BlockingIOError, match="no such message"):
        sysv.try_receive(5)
    with pytest.raises(BlockingIOError, match="is full"):
        while True:
            sysv.try_send(bytes(4000))
    assert sysv.try_receive(4) == (b"x", 4)


def test_blocking_calls_time_out_and_take_nothing(sysv):
    with pytest.raises(TimeoutError):
        sysv.receive_blocking(timeout=0.01)
    with pytest.raises(BlockingIOError):
        while True:
            sysv.try_send(bytes(4000), 2)
    with pytest.raises(TimeoutError):
        sysv.send_blocking(bytes(4000), 7, timeout=0.01)
    while sysv.status().messages:
        assert sysv.receive_blocking(timeout=0) == (bytes(4000), 2)


def test_status_and_configuration(sysv):
    sysv.try_send(b"12345")
    before = sysv.status()
    assert (before.messages, before.bytes, before.last_sender) == (1, 5, os.getpid())
    sysv.configure(bytes_max=1000, mode=0o640)
    after = sysv.status()
    assert (after.bytes_max, after.mode, after.uid) == (1000, 0o640, before.uid)


def test_a_key_names_the_queue_until_it_is_removed(key):
    with pytest.raises(FileNotFoundError, match=f"create=True makes it: key {key:#010x}"):
        SysvQueue(key)
    first = SysvQueue(key, create=True, exclusive=True)
    first.try_send(b"kept")
    first.close()
    with pytest.raises(FileExistsError):
        SysvQueue(key, create=True, exclusive=True)
    second = SysvQueue(key, create=True)
    assert second.id == first.id
    assert SysvQueue.attach(second.id).try_receive() == (b"kept", 1)
    second.remove()
    with pytest.raises(FileNotFoundError):
        SysvQueue(key)


def test_ftok_is_that_of_libc(tmp_path):
    status = tmp_path.stat()
    wanted = 7 << 24 | (status.st_dev & 0xFF) << 16 | status.st_ino & 0xFFFF
    assert ftok(tmp_path, 7) == wanted
    with pytest.raises(FileNotFoundError):
        ftok(tmp_path / "missing", 7)
    with pytest.raises(ValueError, match="1 to 255"):
        ftok(tmp_path, 256)


def test_keys_above_31_bits_are_the_kernels_negative_ones(key):
    high = SysvQueue(key | 0x80000000, create=True)
    same = SysvQueue((key | 0x80000000) - (1 << 32))
    assert same.id == high.id
    same.remove()


@pytest.mark.parametrize("key", [0, 1 << 32, -(1 << 31) - 1])
def test_a_bad_key_is_refused(key):
    with pytest.raises(ValueError, match="32 bits"):
        SysvQueue(key, create=True)


@pytest.mark.parametrize("kind", [0, -1, 1 << 63])
async def test_a_bad_type_is_not_sent(sysv, kind):
    for send in (sysv.try_send, sysv.send_blocking, sysv._operation_send):
        with pytest.raises(ValueError, match="a message's is from 1"):
            send(b"x", kind)
    with pytest.raises(ValueError, match="a message's is from 1"):
        await sysv.send(b"x", kind)
    assert sysv.status().messages == 0


async def test_a_bad_type_is_not_received(sysv):
    sysv.try_send(b"x")
    with pytest.raises(ValueError, match="0 for any"):
        await sysv.receive(1 << 63)
    with pytest.raises(ValueError, match="can be excluded"):
        await sysv.receive(0, excluded=True)
    assert sysv.try_receive() == (b"x", 1)


@pytest.mark.parametrize("data", ["text", None, 5])
async def test_what_is_no_buffer_is_not_sent(sysv, data):
    with pytest.raises(TypeError):
        await sysv.send(data)
    with pytest.raises(TypeError):
        sysv._operation_send(data)


async def test_a_message_that_no_queue_takes_says_what_to_type(sysv):
    size = int(pathlib.Path("/proc/sys/kernel/msgmax").read_text()) + 1
    with pytest.raises(OSError, match=rf"sysctl kernel\.msgmax={size}") as caught:
        await sysv.send(bytes(size))
    assert caught.value.errno == errno.EMSGSIZE


async def test_a_message_larger_than_the_queue_does_not_wait_for_ever(sysv):
    sysv.configure(bytes_max=100)
    with pytest.raises(OSError, match=r"101 bytes, and .* holds 100: configure"):
        await sysv.send(bytes(101))


async def test_a_removed_queue_says_that_it_is_gone(sysv):
    sysv.remove()
    for call in (sysv.try_receive, sysv.receive_blocking, sysv.status, sysv.remove,
                 lambda: sysv.try_send(b"x"), lambda: SysvQueue.attach(sysv.id)):  # fmt: skip
        with pytest.raises(OSError, match="is gone: it was removed") as caught:
            call()
        assert caught.value.errno == errno.EIDRM
    with pytest.raises(OSError, match="is gone"):
        await sysv.receive()


async def test_a_closed_queue_says_that_it_is(sysv):
    sysv.close()
    sysv.close()
    for call in (sysv.try_receive, sysv.receive_blocking, sysv.status, sysv._operation_receive,
                 lambda: sysv.try_send(b"x")):  # fmt: skip
        with pytest.raises(OSError, match="was closed here"):
            call()
    with pytest.raises(OSError, match="was closed here"):
        await sysv.send(b"x")
    assert [message async for message in sysv] == []


def test_another_loop_is_refused_before_anything_is_taken(sysv):
    sysv.try_send(b"x")
    with (
        asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
        pytest.raises(RuntimeError, match=r"zcloop\.run"),
    ):
        runner.run(sysv.receive())
    assert sysv.status().messages == 1
