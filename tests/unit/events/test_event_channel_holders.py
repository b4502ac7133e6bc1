"""A channel that waits for what a process holds, and that process dies."""

import errno
import mmap
import os
import select
import threading

import pytest
from channels import PATIENCE, channel_of, next_of
from refusals import futex_kernel
from waits import dies_holding, kill

import zcloop
from zcloop import requests
from zcloop.sync import Mutex

pytestmark = pytest.mark.zcloop_only


@pytest.fixture(autouse=True, params=["ring", "told", "asked"])
def kernel(request):
    with futex_kernel(request.param):
        yield


@pytest.fixture
def mutex():
    return Mutex(buffer=mmap.mmap(-1, Mutex.SIZE))


def died_for(event, mutex):
    """Whether the event gives the mutex, and says of whom."""
    assert event.errno == errno.EOWNERDEAD
    assert mutex.holder_pid == os.getpid()
    mutex.release()
    return True


def test_a_holder_that_dies_is_noticed(mutex):
    pid = dies_holding(mutex)
    with channel_of() as channel:
        channel.request(mutex)
        kill(pid)
        assert died_for(next_of(channel), mutex)


def test_a_holder_that_dies_makes_the_descriptor_readable(mutex):
    pid = dies_holding(mutex)
    with channel_of() as channel:
        request = channel.request(mutex, type="mutex")
        kill(pid)
        events = []
        while request.is_pending:
            assert select.select([channel], [], [], PATIENCE)[0]
            events += channel.events()
        assert [event.type for event in events] == ["mutex"]
        assert died_for(events[0], mutex)


def test_a_holder_that_is_dead_already_is_noticed_at_once(mutex):
    kill(dies_holding(mutex))
    with channel_of() as channel:
        channel.request(mutex)
        event = channel.wait(0.9)
        assert died_for(event, mutex)


def test_a_holder_that_dies_while_a_batch_is_waited_for_is_noticed(mutex):
    pid = dies_holding(mutex)
    killer = threading.Timer(0.05, kill, [pid])
    with channel_of() as channel:
        killer.start()
        channel.submit([requests.wait_for(mutex)], wait=True)
        assert died_for(channel.next_event(), mutex)
    killer.join()


def test_a_living_holder_is_waited_for_and_nothing_else_is_told(mutex):
    """For longer than the interval in which its life is looked at."""
    pid = dies_holding(mutex)
    with channel_of() as channel:
        request = channel.request(mutex)
        assert channel.wait(1.2) is None
        assert (channel.inflight, request.is_pending) == (1, True)
        kill(pid)
        assert died_for(next_of(channel), mutex)


def test_one_look_is_for_all_who_wait(mutex):
    pid = dies_holding(mutex)
    with channel_of() as channel:
        before = channel.statistics()["system_calls"]
        channel.submit([requests.wait_for(mutex) for _ in range(8)])
        assert channel.statistics()["system_calls"] - before == 2
        assert channel.inflight == 8
        kill(pid)
        assert died_for(next_of(channel), mutex)
        for _ in range(7):
            next_of(channel).check()
            mutex.release()


def test_a_channel_that_is_closed_looks_no_more(mutex):
    with zcloop.EventChannel() as channel:
        assert mutex.try_acquire()
        channel.request(mutex)
    assert mutex.waiting == 0
    mutex.release()


def test_a_mutex_that_is_closed_before_the_request_goes_in_is_not_looked_at():
    mutex = Mutex(buffer=mmap.mmap(-1, Mutex.SIZE))
    request = requests.wait_for(mutex)
    mutex.close()
    with channel_of() as channel:
        channel.submit([request])
        assert next_of(channel).errno == errno.EBADF


@pytest.mark.parametrize("overflow", ["keep", "drop"])
def test_the_look_is_not_counted_as_beyond_the_bound(mutex, overflow):
    assert mutex.try_acquire()
    with channel_of(2, overflow=overflow) as channel, channel_of() as clock:
        request = channel.request(mutex)
        for _ in range(4):
            channel.post()
        clock.submit([requests.timeout(1.2)], wait=True)
        assert clock.next_event().type == "timeout"
        told = [(event.type, event.result) for event in channel.events()]
        kept = 4 if overflow == "keep" else 2
        assert told == [("post", 0)] * kept + [("overflow", 2)]
        assert request.is_pending
        mutex.release()
        next_of(channel).check()
    mutex.release()


@pytest.mark.needs("uring")  # a thread may bring the look and another event at once
def test_the_look_does_not_fill_a_channel_whose_batch_is_waited_for(mutex):
    pid = dies_holding(mutex)
    killer = threading.Timer(1.2, kill, [pid])
    with channel_of(1) as channel:
        killer.start()
        channel.submit([requests.wait_for(mutex)], wait=True)
        event = channel.next_event()
        killer.join()
        assert event is not None
        assert died_for(event, mutex)
