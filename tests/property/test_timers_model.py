"""Timers against a model: a list sorted by deadline and age."""

import math

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

import zcloop

pytestmark = [pytest.mark.zcloop_only, pytest.mark.seconds(60)]

# Deadlines lie far ahead or far behind, so what is due never depends on how fast this runs.
FAR = 10_000.0


class Timers(RuleBasedStateMachine):
    handles = Bundle("handles")

    def __init__(self):
        super().__init__()
        self.loop = zcloop.new_event_loop()
        self.start = self.loop.time()
        self.waiting = []  # (when, age, number) of each timer that neither ran nor was cancelled
        self.made = {}  # number -> handle
        self.ran = []

    def teardown(self):
        self.loop.close()

    def add(self, when):
        number = len(self.made)
        self.made[number] = self.loop.call_at(when, self.ran.append, number)
        self.waiting.append((when, number, number))
        return number

    @rule(target=handles, tick=st.integers(0, 5))
    def add_a_due_one(self, tick):
        return self.add(self.start - FAR + tick)

    @rule(target=handles, tick=st.integers(0, 5))
    def add_one_for_later(self, tick):
        return self.add(self.start + FAR + tick)

    @rule(target=handles)
    def add_one_for_never(self):
        return self.add(math.inf)

    @rule(number=consumes(handles))
    def cancel(self, number):
        self.made[number].cancel()
        self.waiting = [entry for entry in self.waiting if entry[2] != number]
        assert self.made[number].cancelled()

    @rule(number=handles)
    def ask_its_deadline(self, number):
        if any(entry[2] == number for entry in self.waiting):
            when = next(entry[0] for entry in self.waiting if entry[2] == number)
            assert self.made[number].when() == when
            assert f"when={when}" in repr(self.made[number])

    @rule()
    def run_a_turn(self):
        before = len(self.ran)
        self.loop.stop()
        self.loop.run_forever()
        due = sorted(entry for entry in self.waiting if entry[0] < self.start)
        assert self.ran[before:] == [entry[2] for entry in due]
        self.waiting = [entry for entry in self.waiting if entry[0] >= self.start]

    @invariant()
    def as_many_wait_as_in_the_model(self):
        assert self.loop.statistics()["timers"] == len(self.waiting)


TestTimers = Timers.TestCase
TestTimers.settings = settings(
    max_examples=100, stateful_step_count=60, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
