"""Things that a channel waits for and others may take first: semaphores, mutexes, barriers.

Each test runs where the kernel waits, and as before Linux 6.7, where a thread does: the channel is
`told` so, or has `asked` the kernel.
"""

import errno
import gc
import os
import select
import threading

import pytest
from blocked import waiting_threads
from channels import PATIENCE, by_type, channel_of, is_readable, next_of
from refusals import futex_kernel
from waits import block_until, child

import zcloop
from zcloop import requests, sync

pytestmark = pytest.mark.zcloop_only

TOKENS = 20_000


@pytest.fixture(autouse=True, params=["ring", "told", "asked"])
def who_waits(request):
    """How many threads one wait takes."""
    if request.param == "ring":
        request.getfixturevalue("needs_futex_wait")
    with futex_kernel(request.param):
        yield 0 if request.param == "ring" else 1
    assert waiting_threads() == 0


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
        assert select.select([channel], [], [], PATIENCE)[0]
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
        assert select.select([channel], [], [], PATIENCE)[0]
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


def waits_in(count):
    block_until(lambda: waiting_threads() == count)


def test_a_wait_takes_one_thread_at_most_and_none_when_it_is_over(who_waits):
    with channel_of() as channel:
        semaphore = sync.Semaphore(0)
        for _ in range(3):
            channel.request(semaphore)
        assert channel.next_event() is None
        waits_in(3 * who_waits)
        semaphore.release(3)
        assert [next_of(channel).errno for _ in range(3)] == [0, 0, 0]
        assert (waiting_threads(), semaphore.value, semaphore.waiting) == (0, 0, 0)


def test_what_is_free_already_takes_no_thread():
    with channel_of() as channel:
        semaphore = sync.Semaphore(1)
        channel.request(semaphore)
        assert next_of(channel).errno == 0
        assert semaphore.value == 0


def test_submitting_waits_until_somebody_releases():
    with channel_of() as channel:
        semaphore = sync.Semaphore(0)
        releaser = threading.Thread(
            target=lambda: (block_until(lambda: semaphore.waiting), semaphore.release())
        )
        releaser.start()
        channel.submit([requests.wait_for(semaphore)], wait=True)
        assert is_readable(channel)
        event = channel.next_event()
        releaser.join()
        assert (event.errno, semaphore.value) == (0, 0)


def test_a_channel_that_is_dropped_leaves_the_queue(who_waits):
    semaphore = sync.Semaphore(0)
    channels = [zcloop.EventChannel()]
    channels[0].request(semaphore)
    assert channels[0].next_event() is None
    waits_in(who_waits)
    with pytest.warns(ResourceWarning, match="unclosed"):
        channels.clear()
    assert (semaphore.waiting, waiting_threads()) == (0, 0)


def test_a_request_that_was_never_submitted_takes_nothing():
    semaphore = sync.Semaphore(0)
    requests.wait_for(semaphore)
    assert (semaphore.waiting, waiting_threads()) == (0, 0)


def test_a_forked_child_ends_nobodys_wait(who_waits):
    with channel_of() as channel:
        semaphore = sync.Semaphore(0)
        request = channel.request(semaphore)
        assert channel.next_event() is None
        waits_in(who_waits)

        def leave():
            nonlocal request
            channel.close()
            del request
            gc.collect()
            assert (semaphore.waiting, waiting_threads()) == (1, 0)

        with child(leave):
            pass
        waits_in(who_waits)
        semaphore.release()
        assert next_of(channel).errno == 0
        assert semaphore.waiting == 0


def test_a_forked_child_does_not_take_what_its_parent_is_told():
    with channel_of() as channel:
        semaphore = sync.Semaphore(1)
        channel.request(semaphore)  # at once: it is free
        with child(channel.close):
            pass
        assert next_of(channel).errno == 0


def test_the_wait_goes_on_when_the_thread_that_asked_has_ended(who_waits):
    semaphore = sync.Semaphore(0)
    with channel_of() as channel:

        def ask():
            channel.take_over()
            channel.request(semaphore)
            assert channel.next_event() is None

        asker = threading.Thread(target=ask)
        asker.start()
        asker.join()
        block_until(lambda: not os.path.exists(f"/proc/self/task/{asker.native_id}"))
        channel.take_over()
        semaphore.release()
        assert next_of(channel).errno == 0
        assert (semaphore.value, semaphore.waiting) == (0, 0)


def test_who_has_arrived_at_a_barrier_has_when_its_thread_ends():
    """To leave and come again would be to wait for a round that nobody else comes to."""
    barrier = sync.Barrier(2)
    with channel_of() as channel:

        def ask():
            channel.take_over()
            channel.request(barrier)
            assert channel.next_event() is None
            block_until(lambda: barrier.n_waiting == 1)

        asker = threading.Thread(target=ask)
        asker.start()
        asker.join()
        block_until(lambda: not os.path.exists(f"/proc/self/task/{asker.native_id}"))
        channel.take_over()
        assert barrier.wait_blocking(PATIENCE) == 1
        assert next_of(channel).result == 0


def test_a_barrier_is_passed_in_one_round():
    barrier = sync.Barrier(3)
    with channel_of() as channel:
        for _ in range(2):
            channel.request(barrier)
        assert barrier.n_waiting == 2
        assert barrier.wait_blocking(PATIENCE) == 2
        assert sorted(next_of(channel).result for _ in range(2)) == [0, 1]
        assert barrier.n_waiting == 0
