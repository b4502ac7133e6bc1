"""Channels whose waits are refused: by a kernel that knows no such request, or for want of a
descriptor."""

import resource

import pytest
from blocked import waiting_threads
from channels import channel_of, next_of
from refusals import futex_kernel

from zcloop import sync

pytestmark = pytest.mark.zcloop_only


def test_a_request_that_the_kernel_refuses_goes_on_in_a_thread():
    with futex_kernel("refused"), channel_of() as channel:
        semaphore = sync.Semaphore(0)
        requests = [channel.request(semaphore) for _ in range(2)]
        assert channel.next_event() is None
        assert all(request.is_pending for request in requests)
        assert semaphore.waiting == 2
        semaphore.release(2)
        assert [next_of(channel).errno for _ in range(2)] == [0, 0]
        assert (semaphore.value, semaphore.waiting, waiting_threads()) == (0, 0, 0)


def test_one_that_is_refused_at_a_barrier_has_arrived_once():
    barrier = sync.Barrier(2)
    with futex_kernel("refused"), channel_of() as channel:
        channel.request(barrier)
        assert barrier.n_waiting == 1
        assert barrier.wait_blocking(10) == 1
        assert next_of(channel).result == 0


def test_without_a_descriptor_for_a_thread_nothing_is_submitted():
    with futex_kernel("told"), channel_of() as channel:
        semaphore = sync.Semaphore(0)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                channel.request(semaphore)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (semaphore.waiting, channel.inflight) == (0, 0)
        channel.request(semaphore)
        semaphore.release()
        assert next_of(channel).errno == 0
