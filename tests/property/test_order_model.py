"""call_soon and call_soon_threadsafe against a model: one queue, and turns."""

import contextvars
import threading
from collections import deque

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

import zcloop

pytestmark = [pytest.mark.zcloop_only, pytest.mark.seconds(60)]

var = contextvars.ContextVar("var", default=None)


class Order(RuleBasedStateMachine):
    """Each callback notes its number and schedules its children, which wait for the next turn."""

    handles = Bundle("handles")

    def __init__(self):
        super().__init__()
        self.loop = zcloop.new_event_loop()
        self.queue = deque()  # numbers, oldest first
        self.cancelled = set()
        self.children = {}  # number -> how many it schedules
        self.made = {}
        self.ran = []

    def teardown(self):
        self.loop.close()

    def called(self, number):
        self.ran.append((number, var.get()))
        for _ in range(self.children[number]):
            self.schedule(self.loop.call_soon, 0)

    def schedule(self, call, children):
        number = len(self.made)
        self.children[number] = children
        context = contextvars.copy_context()
        context.run(var.set, number)
        self.made[number] = call(self.called, number, context=context)
        return number

    @rule(target=handles, children=st.integers(0, 3))
    def call_soon(self, children):
        number = self.schedule(self.loop.call_soon, children)
        self.queue.append(number)
        return number

    @rule(target=handles, children=st.integers(0, 3))
    def call_from_another_thread(self, children):
        numbers = []
        thread = threading.Thread(
            target=lambda: numbers.append(self.schedule(self.loop.call_soon_threadsafe, children))
        )
        thread.start()
        thread.join()
        self.queue.append(numbers[0])
        return numbers[0]

    @rule(count=st.integers(60, 300))
    def call_soon_a_lot(self, count):
        for _ in range(count):
            self.queue.append(self.schedule(self.loop.call_soon, 0))

    @rule(number=handles)
    def cancel(self, number):
        self.made[number].cancel()
        self.cancelled.add(number)

    @rule()
    def run_a_turn(self):
        before, first_child = len(self.ran), len(self.made)
        self.loop.stop()
        self.loop.run_forever()
        wanted = [number for number in self.queue if number not in self.cancelled]
        assert self.ran[before:] == [(number, number) for number in wanted]
        # Their children are what is ready now, in the order of their parents.
        self.queue = deque(range(first_child, len(self.made)))
        assert len(self.queue) == sum(self.children[number] for number in wanted)

    @invariant()
    def as_many_are_ready_as_in_the_model(self):
        assert self.loop.statistics()["ready"] == len(self.queue)


TestOrder = Order.TestCase
TestOrder.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True
)
