"""A kernel that takes no more requests: who asked is told, and nothing else has changed."""

import pytest
from channels import channel_of, next_of, take
from peers import unix_pair
from refusals import short_of_memory

from zcloop import requests

# What the kernel's ring answers is made up.
pytestmark = [pytest.mark.zcloop_only, pytest.mark.needs("uring")]


def test_a_request_that_the_kernel_does_not_take_is_an_error_and_can_be_made_again():
    with channel_of() as channel, unix_pair() as (ours, peer):
        buffer = bytearray(1)
        request = requests.recv(ours, buffer)
        with short_of_memory(takes=0), pytest.raises(BlockingIOError, match="0 of 1"):
            channel.submit([request])
        assert (channel.inflight, request.is_pending) == (0, False)
        channel.submit([request])
        peer.send(b"x")
        assert next_of(channel).result == 1


@pytest.mark.parametrize("mode", ["parallel", "linked"])
def test_of_a_batch_what_was_taken_goes_on_and_the_rest_can_be_made_again(mode):
    with channel_of() as channel:
        batch = [requests.timeout(0.001, data=number) for number in range(5)]
        with short_of_memory(takes=3), pytest.raises(BlockingIOError, match="3 of 5"):
            channel.submit(batch, mode=mode)
        assert [request.is_pending for request in batch] == [True] * 3 + [False] * 2
        assert {next_of(channel).data for _ in range(3)} == {0, 1, 2}
        channel.submit(batch[3:], mode=mode)
        assert {event.data for event in take(channel, 2)} == {3, 4}


def test_a_batch_that_takes_several_system_calls():
    with channel_of(4) as channel:
        batch = [requests.timeout(0, data=number) for number in range(20)]
        with short_of_memory(takes=10), pytest.raises(BlockingIOError, match="10 of 20"):
            channel.submit(batch)
        assert sum(request.is_pending for request in batch) == 10
        seen = set()
        while len(seen) < 10:
            event = next_of(channel)
            if event.type == "timeout":
                seen.add(event.data)
        list(channel.events())
        assert seen == set(range(10))


def test_a_post_that_the_kernel_does_not_take_is_an_error():
    with channel_of() as channel:
        with short_of_memory(takes=0), pytest.raises(BlockingIOError):
            channel.post("lost, and said to be")
        channel.post("the next")
        assert channel.next_event().data == "the next"
        assert channel.next_event() is None


def test_a_buffer_that_was_not_taken_is_free():
    with channel_of() as channel, unix_pair() as (ours, _):
        buffer = bytearray(1)
        with short_of_memory(takes=0), pytest.raises(BlockingIOError):
            channel.recv(ours, buffer)
        buffer.clear()
