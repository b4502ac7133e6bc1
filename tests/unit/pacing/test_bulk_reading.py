"""How bulk is read is chosen by what it costs: the comparison, without a clock of its own."""

import pytest

from zcloop._native.pacing.bulk_reading import BulkReading

pytestmark = pytest.mark.zcloop_only

MIB = 1 << 20
SETTLING, MEASURED = 16 * MIB, 48 * MIB
REST = 1024 * MIB
SECOND = 1_000_000_000


class Machine:
    """A loop on which a byte costs so many nanoseconds of CPU, one way and the other."""

    def __init__(self, patient, greedy):
        self.reading = BulkReading()
        self.costs = {True: patient, False: greedy}
        self.cpu = 0.0
        self.now = 0

    def read(self, size, seconds=0.01):
        """Whether all of it was read the patient way."""
        self.now += int(seconds * SECOND)
        ways = set()
        for _ in range(size // MIB):
            ways.add(self.reading.is_patient)
            self.cpu += MIB * self.costs[self.reading.is_patient]
            if self.reading.note(MIB):
                self.reading.advance(int(self.cpu), self.now)
        assert len(ways) == 1
        return ways.pop()

    def compare(self):
        return [self.read(SETTLING + MEASURED) for _ in range(2)]


def test_both_ways_are_tried_and_the_cheaper_is_kept():
    machine = Machine(patient=0.12, greedy=0.1)
    assert machine.compare() == [True, False]
    assert machine.read(REST) is False
    machine = Machine(patient=0.1, greedy=0.12)
    assert machine.compare() == [True, False]
    assert machine.read(2 * REST) is True


def test_a_little_less_is_no_reason_to_change():
    machine = Machine(patient=0.1, greedy=0.097)
    machine.compare()
    assert machine.read(2 * REST) is True


def test_after_a_while_they_are_compared_again():
    machine = Machine(patient=0.12, greedy=0.1)
    machine.compare()
    machine.read(REST)
    machine.costs = {True: 0.1, False: 0.12}
    assert machine.read(MEASURED) is False  # it has settled long ago
    assert machine.read(SETTLING + MEASURED) is True
    assert machine.read(REST) is True


def test_the_more_often_nothing_changes_the_seldomer_they_are_compared():
    machine = Machine(patient=0.1, greedy=0.12)
    machine.compare()
    for factor in (2, 4, 8, 16, 16):
        assert machine.read(factor * REST) is True
        assert machine.read(MEASURED) is True
        assert machine.read(SETTLING + MEASURED) is False


def test_what_took_long_is_measured_anew():
    machine = Machine(patient=0.12, greedy=0.1)
    machine.read(SETTLING + MEASURED - MIB)
    machine.read(MIB, seconds=2)
    assert machine.compare() == [True, False]


@pytest.mark.parametrize("slow", [SETTLING, MEASURED])
def test_a_trial_that_takes_long_is_given_up_for_long(slow):
    machine = Machine(patient=0.12, greedy=0.1)
    machine.read(SETTLING + MEASURED)
    machine.read(slow - MIB)
    machine.read(MIB, seconds=2)
    machine.read(SETTLING + MEASURED - slow)
    assert machine.read(2 * REST) is True


def test_a_run_that_begins_in_between_changes_nothing():
    machine = Machine(patient=0.12, greedy=0.1)
    machine.compare()
    machine.read(REST // 2)
    machine.reading.restart()
    assert machine.read(REST // 2 + MEASURED) is False
    assert machine.read(MIB) is True


def test_a_new_run_begins_with_the_way_that_was_kept():
    machine = Machine(patient=0.1, greedy=0.12)
    machine.read(SETTLING + MEASURED)
    machine.read(MIB)
    assert not machine.reading.is_patient
    machine.reading.restart()
    assert machine.reading.is_patient
