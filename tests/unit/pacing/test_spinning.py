"""When an adaptive loop looks for completions before it sleeps: what its waits have told it."""

import time

import pytest

from zcloop._native.pacing.spinning import Spinning

pytestmark = [pytest.mark.zcloop_only, pytest.mark.needs("cpu_clock")]

SHORT = 50_000  # nanoseconds
LONG = 200_000
QUICK = 10_000
FIRST_LOOK = 100_000
LOOK = 40_000
MISS = -1
CHEAP = 0.0  # seconds of CPU for each message
DEAR = 0.0005


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


class Waits:
    """The waits of a loop, each of which brings one message that takes some CPU."""

    def __init__(self):
        self.spinning = Spinning()
        self.completed = 0

    @property
    def next(self):
        return self.spinning.next_ns()

    def sleep(self, count, duration=SHORT, cost=CHEAP):
        for _ in range(count):
            assert self.next == 0
            self.completed += 1
            burn(cost)
            self.spinning.slept(duration, self.completed)

    def look(self, count, found=QUICK, cost=CHEAP):
        for _ in range(count):
            assert self.next
            self.spinning.looked(found, self.completed)
            self.completed += found >= 0
            burn(cost)

    def sleeps_until_a_look(self):
        count = 0
        while not self.next:
            self.sleep(1)
            count += 1
        return count


@pytest.fixture
def waits():
    return Waits()


def test_short_sleeps_in_a_row_make_it_look(waits):
    waits.sleep(16)
    waits.sleep(1, LONG)
    waits.sleep(17)
    assert waits.next == FIRST_LOOK
    waits.look(4, SHORT)  # a peer that wakes slowly
    assert waits.next == LOOK


def test_it_goes_on_while_that_is_cheaper(waits):
    waits.sleep(17, cost=DEAR)
    waits.look(4 + 3 * 64)
    assert waits.next == LOOK
    assert waits.spinning.spins == 4 + 3 * 64


def test_it_stops_when_sleeping_was_cheaper_twice(waits):
    waits.sleep(17)
    waits.look(4 + 2 * 64 - 1, cost=DEAR / 4)
    assert waits.next
    waits.look(1)
    assert waits.sleeps_until_a_look() == 34


def test_one_lost_comparison_is_none(waits):
    waits.sleep(17, cost=DEAR)
    waits.look(4 + 64)
    for _ in range(3):
        waits.look(64, cost=2 * DEAR)
        waits.look(64)
    assert waits.next


def test_it_stops_when_it_has_become_dearer(waits):
    waits.sleep(17, cost=DEAR)
    waits.look(4 + 64)
    waits.look(2 * 64, cost=2 * DEAR)
    assert waits.sleeps_until_a_look() == 34


def test_bytes_are_work_too(waits):
    """As many completions for as much CPU, of which those that were slept for brought more."""
    for number in range(17):
        waits.spinning.moved(number << 16)
        waits.sleep(1, cost=DEAR)
    waits.look(4 + 2 * 64, cost=DEAR / 2)
    assert waits.next == 0


def test_each_try_in_vain_makes_the_next_one_wait_longer(waits):
    expected = 17
    while expected < 2000:
        assert waits.sleeps_until_a_look() == min(expected, 1024)
        waits.look(1, MISS)
        expected *= 2


def test_one_look_in_vain_is_none_and_two_are_an_end(waits):
    waits.sleep(17, cost=DEAR)
    waits.look(4 + 64)
    waits.look(1, MISS)
    waits.look(1)
    waits.look(1, MISS)
    assert waits.next
    waits.look(1, LOOK + 1)  # found, but not as quickly as it is worth
    assert waits.sleeps_until_a_look() == 17  # it has been good


def test_it_measures_its_sleeps_anew_now_and_then(waits):
    waits.sleep(17, cost=DEAR)
    waits.look(4 + 64 * 64)
    assert waits.sleeps_until_a_look() == 17


def test_a_long_sleep_is_an_end(waits):
    waits.sleep(17)
    waits.look(20)
    waits.look(1, MISS)
    waits.spinning.slept(LONG, waits.completed)
    assert waits.sleeps_until_a_look() == 17
    assert waits.next == FIRST_LOOK


def test_a_long_sleep_after_looks_that_were_good_costs_nothing(waits):
    waits.sleep(17, cost=DEAR)
    waits.look(4 + 64)
    waits.look(1, MISS)
    waits.spinning.slept(LONG, waits.completed)
    assert waits.sleeps_until_a_look() == 17
    assert waits.next == FIRST_LOOK
