"""What is taken for bulk that pours in one way: by bytes and times, without a socket."""

import pytest

from zcloop._native.pacing.one_way import OneWay

MIB = 1 << 20
READ = MIB // 4
FAST = 1e-3 / 2  # from one read to the next, twice as fast as has to be
SLOW = 1e-3 * 1.1
HALT = 1e-3


class Sender:
    """Sends reads of 256 KiB to a flow, by a clock of its own."""

    def __init__(self):
        self.flow = OneWay()
        self.now = 100.0

    def send(self, size, seconds_a_read=FAST):
        for _ in range(size // READ):
            self.now += seconds_a_read
            if self.flow.is_one_way:
                self.flow.go_on(READ, self.now)
            else:
                self.flow.begins(READ, self.now)

    def halt(self):
        self.now += 2 * HALT
        assert self.flow.has_halted(self.now)
        self.flow.end_trial()


@pytest.fixture
def sender():
    return Sender()


@pytest.fixture
def one_way(sender):
    """A sender of whom it is known."""
    sender.send(8 * MIB)
    assert sender.flow.is_one_way
    return sender


def test_less_than_a_distance_is_not_one_way(sender):
    sender.send(8 * MIB - READ)
    assert not sender.flow.is_one_way


def test_a_distance_that_comes_fast_is_one_way(sender):
    sender.send(8 * MIB)
    assert sender.flow.is_one_way


def test_a_distance_that_comes_slowly_is_not(sender):
    sender.send(8 * MIB, SLOW)
    assert not sender.flow.is_one_way
    assert sender.flow.received == 0


def test_after_a_slow_distance_a_fast_one_is_one_way(sender):
    sender.send(8 * MIB, SLOW)
    sender.send(8 * MIB)
    assert sender.flow.is_one_way


def test_the_time_is_wanted_at_the_first_and_the_last_read_of_a_distance(sender):
    wanted = []
    for _ in range(32):
        wanted.append(sender.flow.needs_time(READ))
        sender.send(READ)
    assert wanted == [True, *[False] * 30, True]


def test_it_halts_a_millisecond_after_the_latest_read(one_way):
    one_way.send(READ)
    assert one_way.flow.halts_at() == pytest.approx(one_way.now + HALT)
    assert not one_way.flow.has_halted(one_way.now + 0.9 * HALT)
    assert one_way.flow.has_halted(one_way.now + 1.1 * HALT)


def test_a_trial_that_brought_a_mebibyte_makes_the_next_distance_a_single_read(one_way):
    one_way.send(MIB)
    one_way.halt()
    assert not one_way.flow.is_one_way
    assert one_way.flow.distance == READ
    one_way.send(READ)
    assert one_way.flow.is_one_way


def test_a_trial_in_vain_doubles_the_distance(one_way):
    one_way.halt()
    assert one_way.flow.distance == 16 * MIB
    one_way.send(16 * MIB - READ)
    assert not one_way.flow.is_one_way
    one_way.send(READ)
    assert one_way.flow.is_one_way


def test_the_distance_is_a_gibibyte_at_most(sender):
    for _ in range(10):
        sender.send(sender.flow.distance)
        assert sender.flow.is_one_way
        sender.halt()
    assert sender.flow.distance == 1024 * MIB


def test_a_trial_in_vain_after_a_short_distance_doubles_the_first_one(one_way):
    one_way.send(MIB)
    one_way.halt()
    one_way.send(READ)
    one_way.halt()
    assert one_way.flow.distance == 16 * MIB


def test_what_is_written_makes_it_take_a_full_distance_again(one_way):
    one_way.send(MIB)
    one_way.halt()
    one_way.flow.forget()
    assert one_way.flow.distance == 8 * MIB
    one_way.send(8 * MIB - READ)
    assert not one_way.flow.is_one_way


def test_what_is_written_does_not_shorten_a_distance(one_way):
    one_way.halt()
    one_way.flow.forget()
    assert one_way.flow.distance == 16 * MIB


def test_another_end_leaves_the_distance_as_it_is(one_way):
    one_way.flow.end()
    assert not one_way.flow.is_one_way
    assert one_way.flow.distance == 8 * MIB
