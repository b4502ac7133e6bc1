"""A channel that waits for the messages of a POSIX queue."""

import errno
import select

import pytest
from channels import PATIENCE, by_type, channel_of, next_of

pytestmark = pytest.mark.zcloop_only


def test_a_message_is_an_event(queue):
    with channel_of() as channel:
        channel.request(queue, data="first", type="queue")
        assert channel.next_event() is None
        queue.try_send(b"at last", 4)
        event = next_of(channel)
        assert (event.type, event.source, event.data) == ("queue", queue, "first")
        assert event.check() == (b"at last", 4)


def test_a_message_comes_into_the_buffer_that_waits(queue):
    with channel_of() as channel:
        channel.request(queue, buffer := bytearray(64))
        queue.try_send(b"at last", 4)
        assert next_of(channel).check() == (7, 4)
        assert buffer[:7] == b"at last"


def test_a_message_that_another_took_first_is_waited_for_again(queue):
    with channel_of() as channel:
        request = channel.request(queue)
        queue.try_send(b"not for the channel")
        assert select.select([channel], [], [], PATIENCE)[0]
        queue.try_receive()
        assert channel.next_event() is None
        assert request.is_pending
        queue.try_send(b"for the channel")
        assert next_of(channel).check() == (b"for the channel", 0)


def test_cancelling_takes_no_message(queue):
    with channel_of() as channel:
        channel.cancel(channel.request(queue))
        assert by_type(channel, 2)["request"].errno == errno.ECANCELED
        queue.try_send(b"still there")
        assert queue.try_receive() == (b"still there", 0)
