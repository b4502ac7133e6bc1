"""Things that a channel waits for and others may take first: semaphores, mutexes."""

import errno
import threading

import pytest
from channels import by_type, channel_of, is_readable, next_of

import zcloop
from zcloop import requests, sync

pytestmark = pytest.mark.zcloop_only

TOKENS = 20_000


def test_a_token_is_taken_by_who_takes_the_event():
    with channel_of() as channel:
        semaphore = sync.Semaphore(0)
        channel.request(semaphore, data="token", type="semaphore")
        assert channel.next_event() is None
        semaphore.release()
        event = next_of(channel)
        assert (event.type, event.source, event.data) == ("semaphore", semaphore, "token")
        assert (semaphore.value, semaphore.waiting) == (0, 0)


def test_one_that_another_took_first_is_waited_for_again():
    with channel_of() as channel:
        semaphore = sync.Semaphore(0)
        request = channel.request(semaphore)
        semaphore.release()
        assert is_readable(channel)
        assert semaphore.try_acquire()
        assert channel.next_event() is None
        assert request.is_pending
        semaphore.release()
        assert next_of(channel).errno == 0


def test_a_cancelled_one_that_another_took_first_is_over():
    with channel_of() as channel:
        semaphore = sync.Semaphore(0)
        request = channel.request(semaphore)
        semaphore.release()
        assert is_readable(channel)
        assert semaphore.try_acquire()
        channel.cancel(request)
        assert by_type(channel, 2)["request"].errno == errno.ECANCELED
        assert semaphore.waiting == 0


def test_cancelling_takes_nothing():
    with channel_of() as channel:
        semaphore = sync.Semaphore(0)
        channel.cancel(channel.request(semaphore))
        events = by_type(channel, 2)
        assert (events["cancel"].result, events["request"].errno) == (0, errno.ECANCELED)
        semaphore.release()
        assert (semaphore.value, semaphore.waiting) == (1, 0)


def test_a_channel_that_is_closed_leaves_the_queue():
    semaphore = sync.Semaphore(0)
    with channel_of() as other:
        other.request(semaphore, data="the next")
        with zcloop.EventChannel() as channel:
            channel.request(semaphore)
            assert semaphore.waiting == 2
        assert semaphore.waiting == 1
        semaphore.release()
        assert next_of(other).data == "the next"


def test_no_token_is_lost_between_threads():
    semaphore = sync.Semaphore(0)

    def release():
        for _ in range(TOKENS):
            semaphore.release()

    releaser = threading.Thread(target=release)
    with channel_of() as channel:
        releaser.start()
        for _ in range(TOKENS):
            channel.request(semaphore)
            assert next_of(channel).errno == 0
        releaser.join()
        assert semaphore.value == 0


def test_a_mutex_belongs_to_the_thread_that_took_the_event():
    with channel_of() as channel:
        mutex = sync.Mutex()
        channel.request(mutex)
        assert next_of(channel).errno == 0
        mutex.release()


def test_such_a_wait_cannot_be_linked():
    with channel_of() as channel:
        semaphore = sync.Semaphore(1)
        with pytest.raises(ValueError, match="cannot be linked"):
            channel.submit([requests.wait_for(semaphore)], mode="linked")
        assert semaphore.value == 1
