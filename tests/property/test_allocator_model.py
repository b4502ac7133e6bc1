"""Any sequence of takes, gives and shrinks of the buddy allocator against a set of units."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from zcloop._native.memory.allocator import Allocator


class AllocatorModel(RuleBasedStateMachine):
    @initialize(units=st.one_of(st.integers(1, 70), st.sampled_from([255, 256, 1000, 1536])))
    def make(self, units):
        self.units = units
        self.allocator = Allocator(units)
        self.taken = {}  # first unit: order

    def free_runs(self):
        """Return the aligned blocks, by order, that the allocator may give: those of free units."""
        free = set(range(self.units))
        for unit, order in self.taken.items():
            free -= set(range(unit, unit + (1 << order)))
        return free

    @rule(order=st.integers(0, 11))
    def take(self, order):
        free = self.free_runs()
        unit = self.allocator.take_block(order)
        size = 1 << order
        possible = any(
            all(each in free for each in range(first, first + size))
            for first in range(0, self.units - size + 1, size)
        )
        if unit is None:
            assert not possible, "refused although a block of that size is free"
            return
        assert unit % size == 0, "not aligned"
        assert set(range(unit, unit + size)) <= free, "taken twice, or beyond the end"
        self.taken[unit] = order

    @rule(order=st.sampled_from([12, 31, 32, 33, 2**31]))
    def take_too_much(self, order):
        assert self.allocator.take_block(order) is None

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def give(self, data):
        unit = data.draw(st.sampled_from(sorted(self.taken)))
        assert self.allocator.give_block(unit)
        del self.taken[unit]

    @rule(unit=st.one_of(st.integers(0, 2000), st.just(2**32 - 1)))
    def give_what_is_not_taken(self, unit):
        if unit not in self.taken:
            assert not self.allocator.give_block(unit)

    @precondition(lambda self: self.taken)
    @rule(data=st.data(), order=st.integers(0, 11))
    def shrink(self, data, order):
        unit = data.draw(st.sampled_from(sorted(self.taken)))
        self.allocator.shrink_block(unit, order)
        self.taken[unit] = min(self.taken[unit], order)

    @invariant()
    def books_are_right(self):
        if not hasattr(self, "allocator"):
            return
        blocks = self.allocator.blocks()
        assert {unit: order for unit, order, is_free in blocks if not is_free} == self.taken
        end = 0
        for unit, order, _ in blocks:
            assert unit == end and unit % (1 << order) == 0
            end = unit + (1 << order)
        assert end == self.units, "blocks do not cover the units exactly"
        free = {unit: order for unit, order, is_free in blocks if is_free}
        assert self.allocator.free_units == sum(1 << order for order in free.values())
        for unit, order in free.items():
            assert free.get(unit ^ (1 << order)) != order, "free buddies that were not joined"

    def teardown(self):
        for unit in list(getattr(self, "taken", ())):
            self.allocator.give_block(unit)
        self.taken = {}
        self.books_are_right()


AllocatorModel.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, derandomize=True
)


@pytest.mark.seconds(60)
def test_the_allocator_is_its_model():
    AllocatorModel.TestCase("runTest").runTest()


@pytest.mark.parametrize("units", [0, 1 << 31])
def test_an_impossible_number_of_units_is_a_value_error(units):
    with pytest.raises(ValueError, match="an allocator has between"):
        Allocator(units)
