"""call_later and call_at: order, cancelling, the handles."""

import asyncio
import math
import random
import weakref

import pytest


class Whatever:
    """Can be referred to weakly."""


def fire(loop, deadlines):
    """The numbers of the timers in the order in which they ran."""
    seen = []
    for number, when in enumerate(deadlines):
        loop.call_at(when, seen.append, number)
    loop.call_at(max(deadlines) + 0.001, loop.stop)
    loop.run_forever()
    return seen


@pytest.mark.zcloop_only  # asyncio's heap knows no age
def test_timers_run_by_deadline_and_then_by_age(loop):
    source = random.Random(1)
    start = loop.time()
    deadlines = [start + source.randrange(20) / 10_000 for _ in range(3000)]
    order = sorted(range(len(deadlines)), key=lambda number: (deadlines[number], number))
    assert fire(loop, deadlines) == order


@pytest.mark.zcloop_only
def test_timers_of_one_deadline_run_in_the_order_of_their_making(loop):
    assert fire(loop, [loop.time()] * 500) == list(range(500))


def test_no_timer_runs_early(loop):
    late = []
    for delay in (0, 0.0001, 0.0013, 0.01, 0.0303):
        when = loop.time() + delay
        loop.call_at(when, lambda when=when: late.append(loop.time() - when))
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    assert len(late) == 5 and min(late) > -1e-6


def test_a_cancelled_timer_never_runs(loop):
    seen = []
    handles = [loop.call_later(0.001 * (n % 7), seen.append, n) for n in range(500)]
    for handle in handles[::2]:
        handle.cancel()
    loop.call_later(0.02, loop.stop)
    loop.run_forever()
    assert sorted(seen) == list(range(1, 500, 2))


@pytest.mark.zcloop_only
def test_a_cancelled_timer_is_counted_no_more(loop):
    handles = [loop.call_later(1000, print) for _ in range(10_000)]
    assert loop.statistics()["timers"] == 10_000
    random.Random(2).shuffle(handles)
    for handle in handles:
        handle.cancel()
        handle.cancel()
    assert loop.statistics()["timers"] == 0


@pytest.mark.zcloop_only  # asyncio's heap keeps it
def test_a_cancelled_timer_lets_go_of_what_it_holds_at_once(loop):
    argument = Whatever()
    seen = weakref.ref(argument)
    first = loop.call_later(1000, print)
    handle = loop.call_later(1001, print, argument)
    loop.call_later(1002, print)
    del argument
    handle.cancel()
    assert seen() is None
    first.cancel()


@pytest.mark.zcloop_only  # as above
@pytest.mark.parametrize("kept_of_ten", [0, 1, 4, 9])
def test_the_rest_runs_in_order_when_many_are_cancelled(loop, kept_of_ten):
    source = random.Random(7)
    now = loop.time()
    seen, expected, cancelled = [], [], []
    for number in range(3000):
        when = now - source.choice((1, 2, 3))  # due, and often at the same time
        handle = loop.call_at(when, seen.append, number)
        if source.randrange(10) < kept_of_ten:
            expected.append((when, number))
        else:
            cancelled.append(handle)
    source.shuffle(cancelled)
    for number, handle in enumerate(cancelled):
        handle.cancel()
        if number % 100 == 0:  # among the places of cancelled ones
            expected.append((now - 2, 3000 + number))
            loop.call_at(now - 2, seen.append, 3000 + number)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == [number for _, number in sorted(expected)]


def test_a_timer_may_be_cancelled_by_one_of_the_same_deadline(loop):
    seen = []
    when = loop.time()
    loop.call_at(when, lambda: victim.cancel())
    victim = loop.call_at(when, seen.append, "never")
    loop.call_at(when, loop.stop)
    loop.run_forever()
    assert seen == [] and victim.cancelled()


def test_a_timer_that_ran_can_be_cancelled_without_harm(loop):
    handle = loop.call_later(0, loop.stop)
    loop.run_forever()
    handle.cancel()
    assert handle.cancelled()


def test_the_handle_tells_its_deadline(loop):
    when = loop.time() + 1000
    handle = loop.call_at(when, print)
    assert handle.when() == when
    assert f"when={when}" in repr(handle) and "print" in repr(handle)
    handle.cancel()
    assert "cancelled" in repr(handle) and f"when={when}" in repr(handle)


def test_the_deadline_of_a_handle_has_the_type_that_it_was_given_in(loop):
    whole = math.ceil(loop.time() + 1000)
    assert type(loop.call_at(whole, print).when()) is int
    assert loop.call_at(whole, print).when() == whole
    assert f"when={whole} " in repr(loop.call_at(whole, print))
    assert type(loop.call_at(float(whole), print).when()) is float
    assert type(loop.call_later(1, print).when()) is float


def test_handles_compare_by_deadline(loop):
    soon, late = loop.call_at(loop.time() + 500, print), loop.call_at(loop.time() + 900, print)
    assert soon < late and not late < soon
    assert soon <= late and late > soon and late >= soon
    assert sorted([late, soon]) == [soon, late]
    soon.cancel()
    late.cancel()


def test_call_later_of_a_negative_delay_is_due_at_once(loop):
    loop.call_later(-5, loop.stop)
    loop.run_forever()


def test_deadlines_in_the_far_future_do_not_overflow_the_wait(loop):
    handles = [loop.call_later(delay, print) for delay in (1e9, 1e18, math.inf)]
    loop.call_soon(loop.stop)
    loop.run_forever()
    with pytest.raises(TimeoutError):
        loop.run_until_complete(asyncio.wait_for(loop.create_future(), 0.005))
    for handle in handles:
        handle.cancel()


def test_a_delay_of_none_is_a_type_error(loop):
    with pytest.raises(TypeError):
        loop.call_later(None, print)
    with pytest.raises(TypeError):
        loop.call_at(None, print)


def test_a_timer_made_by_a_timer_waits_for_a_later_turn(loop):
    turns = []

    def again(left):
        if left:
            loop.call_later(0, again, left - 1)
            turns.append(left)
        else:
            loop.stop()

    loop.call_later(0, again, 3)
    loop.call_later(0, lambda: turns.append("same turn"))
    loop.run_forever()
    assert turns == [3, "same turn", 2, 1]


def test_timers_that_have_run_are_themselves_only(loop):
    when = loop.time()
    one, other = loop.call_at(when, list), loop.call_at(when, dict)
    assert one != other and one == loop.call_at(when, list)
    loop.run_until_complete(asyncio.sleep(0.001))
    assert one != other and one == one and other == other


@pytest.mark.zcloop_only  # asyncio's heap loses its order by it
def test_a_deadline_that_is_not_a_number_is_due_at_once_and_disturbs_no_other(loop):
    seen = []
    start = loop.time()
    for number in range(200):
        loop.call_at(start + (number * 37 % 200) / 10_000, seen.append, number * 37 % 200)
        if number % 4 == 0:
            made = loop.call_at(math.nan, seen.append, math.nan)
    loop.call_later(math.nan, seen.append, math.nan).cancel()
    assert math.isnan(made.when())
    loop.call_later(0.1, loop.stop)
    loop.run_forever()
    assert [number for number in seen if number == number] == list(range(200))
    assert len(seen) == 250


@pytest.mark.zcloop_only  # asyncio's heap loses its order by it
def test_a_call_after_a_delay_that_is_not_a_number_ends_the_sleep(loop):
    loop.call_later(1000, print).cancel()
    loop.call_later(1000, print)
    loop.call_later(math.nan, loop.stop)
    loop.run_forever()
