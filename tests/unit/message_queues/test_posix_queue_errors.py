"""Bad input to POSIX queues: each a clear error, and nothing lost."""

import asyncio
import errno
import os
import pathlib

import pytest
from peers import script

from zcloop.message_queues import PosixQueue, unlink

pytestmark = pytest.mark.zcloop_only
LIMITS = pathlib.Path("/proc/sys/fs/mqueue")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("queue", "begins with a slash: '/queue'"),
        ("", "begins with a slash"),
        ("/", "no name"),
        ("/a/b", "no name"),
        ("/..", "no name"),
        ("/nul\0", "no name"),
        ("/" + "n" * 256, "256 bytes: at most 255"),
    ],
)
def test_a_bad_name_says_what_a_name_is(name, message):
    with pytest.raises(ValueError, match=message):
        PosixQueue(name, create=True)
    with pytest.raises(ValueError, match=message):
        unlink(name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maxmsg": 0}, "maxmsg must be at least 1"),
        ({"msgsize": -1}, "msgsize must be at least 1"),
        ({"access": "x"}, '"r", "w" or "rw"'),
    ],
)
def test_bad_options_make_no_queue(name, options, message):
    with pytest.raises(ValueError, match=message):
        PosixQueue(name, create=True, **options)
    with pytest.raises(FileNotFoundError):
        unlink(name)


@pytest.mark.parametrize(("option", "limit"), [("maxmsg", "msg_max"), ("msgsize", "msgsize_max")])
def test_more_than_the_kernel_allows_says_what_to_type(name, option, limit):
    most = int((LIMITS / limit).read_text())
    # 65,536 messages and 16 MiB bind root, too.
    asked = max(most + 1, 1 << 25)
    with pytest.raises(OSError, match=rf"sysctl fs\.mqueue\.{limit}={asked}") as caught:
        PosixQueue(name, create=True, **{option: asked})
    assert caught.value.errno == errno.EINVAL


def test_queues_beyond_the_users_bytes_say_what_to_type(name):
    said = script(
        """
        import resource
        from zcloop.message_queues import PosixQueue
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (1000, 1000))
        try:
            PosixQueue(sys.argv[1], create=True)
        except OSError as error:
            print(error)
        """,
        name,
    )
    assert "RLIMIT_MSGQUEUE, 1000 bytes: ulimit -q" in said


def test_a_queue_that_is_not_there(name):
    with pytest.raises(FileNotFoundError, match=name):
        PosixQueue(name)
    with pytest.raises(FileNotFoundError, match=name):
        unlink(name)


async def test_a_message_that_is_too_large_says_how_large_it_may_be(queue):
    with pytest.raises(OSError, match=r"65 bytes, and .* takes 64: .* larger msgsize") as caught:
        await queue.send(bytes(65))
    assert caught.value.errno == errno.EMSGSIZE
    assert queue.getattr().curmsgs == 0


async def test_a_buffer_that_is_too_small_takes_nothing(queue):
    queue.try_send(b"x")
    with pytest.raises(OSError, match=r"hold the largest message .*, 64 bytes"):
        await queue.receive_into(bytearray(63))
    assert queue.try_receive() == (b"x", 0)


@pytest.mark.parametrize("buffer", [b"read-only" * 8, "text", None, 5])
async def test_what_cannot_be_written_to_is_refused(queue, buffer):
    queue.try_send(b"x")
    with pytest.raises((TypeError, BufferError)):
        await queue.receive_into(buffer)
    assert queue.try_receive() == (b"x", 0)


@pytest.mark.parametrize("data", ["text", None, 5])
async def test_what_is_no_buffer_is_not_sent(queue, data):
    for send in (queue.try_send, queue.send_blocking):
        with pytest.raises(TypeError):
            send(data)
    with pytest.raises(TypeError):
        await queue.send(data)


@pytest.mark.parametrize("priority", [-1, 32768, 1 << 40])
async def test_a_priority_out_of_range(queue, priority):
    for send in (queue.try_send, queue.send_blocking, queue._operation_send):
        with pytest.raises(ValueError, match="0 to 32767"):
            send(b"x", priority)
    with pytest.raises(ValueError, match="0 to 32767"):
        await queue.send(b"x", priority)


async def test_a_closed_queue_says_that_it_is(queue):
    queue.close()
    for call in (
        queue.try_receive,
        queue.receive_blocking,
        queue.getattr,
        lambda: queue.setattr(0),
        lambda: queue.try_send(b"x"),
        lambda: queue.send_blocking(b"x"),
    ):
        with pytest.raises(OSError, match="is closed"):
            call()
    for coroutine in (queue.receive(), queue.send(b"x"), queue.receive_into(bytearray(64))):
        with pytest.raises(OSError, match="is closed"):
            await coroutine
    assert [message async for message in queue] == []


async def test_a_queue_is_read_or_written_as_it_was_opened(queue, name):
    with PosixQueue(name, access="w") as writing, PosixQueue(name, access="r") as reading:
        await writing.send(b"x")
        with pytest.raises(OSError, match="access='w'"):
            await writing.receive()
        with pytest.raises(OSError, match="access='r'"):
            await reading.send(b"y")
        assert await reading.receive() == (b"x", 0)


def test_only_o_nonblock_can_be_set(queue):
    with pytest.raises(ValueError, match="O_NONBLOCK"):
        queue.setattr(os.O_APPEND)


@pytest.mark.parametrize("method", ["receive", "send"])
def test_another_loop_is_refused_before_anything_is_taken(queue, method):
    queue.try_send(b"x")
    coroutine = queue.receive() if method == "receive" else queue.send(b"y")
    with (
        asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner,
        pytest.raises(RuntimeError, match=r"zcloop\.run"),
    ):
        runner.run(coroutine)
    assert queue.getattr().curmsgs == 1
