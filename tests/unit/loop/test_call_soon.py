"""The ready queue: order, turns, handles."""

import asyncio
import contextvars
import functools
import gc
import weakref

import pytest
from peers import unix_pair


def turn(loop):
    """One turn: what is ready now runs, what it schedules does not."""
    loop.stop()
    loop.run_forever()


def test_callbacks_run_in_the_order_of_their_scheduling(loop):
    seen = []
    for number in range(1000):
        loop.call_soon(seen.append, number)
    turn(loop)
    assert seen == list(range(1000))


def test_a_turn_runs_only_what_was_ready_when_it_began(loop):
    seen = []

    def again(depth):
        seen.append(depth)
        loop.call_soon(again, depth + 1)

    loop.call_soon(again, 0)
    for turns in range(1, 4):
        turn(loop)
        assert seen == list(range(turns))


def test_the_queue_grows_while_its_head_is_in_the_middle(loop):
    seen = []
    for number in range(50):
        loop.call_soon(seen.append, number)

    def burst():
        for number in range(51, 1000):
            loop.call_soon(seen.append, number)

    loop.call_soon(burst)
    loop.call_soon(seen.append, 50)
    turn(loop)
    turn(loop)
    assert seen == list(range(1000))


def test_a_cancelled_handle_does_not_run_and_lets_go_of_its_arguments(loop):
    class Payload:
        pass

    payload = Payload()
    alive = weakref.ref(payload)
    handle = loop.call_soon(print, payload)
    del payload
    handle.cancel()
    handle.cancel()
    assert handle.cancelled()
    gc.collect()
    assert alive() is None
    turn(loop)


def test_a_callback_may_cancel_one_that_is_ready_in_the_same_turn(loop):
    seen = []
    handles = []
    loop.call_soon(lambda: handles[0].cancel())
    handles.append(loop.call_soon(seen.append, "never"))
    loop.call_soon(seen.append, "after")
    turn(loop)
    assert seen == ["after"]


def test_a_callback_lets_go_of_its_arguments_when_it_has_run(loop):
    class Payload:
        pass

    payload = Payload()
    alive = weakref.ref(payload)
    loop.call_soon(lambda _: None, payload)
    del payload
    turn(loop)
    assert alive() is None


def test_a_handle_that_was_kept_is_no_later_ones(loop):
    seen = []
    kept = loop.call_soon(seen.append, "first")
    weakly = weakref.ref(loop.call_soon(seen.append, "second"))
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert weakly() is None
    later = [loop.call_soon(seen.append, number) for number in range(200)]
    assert kept not in later and weakly() is None
    kept.cancel()
    del later
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert seen == ["first", "second", *range(200)]


def test_a_handle_used_again_keeps_nothing_of_its_last_call(loop):
    contexts = []
    variable = contextvars.ContextVar("variable", default=None)
    context = contextvars.copy_context()
    context.run(variable.set, "other")

    def note(expected):
        assert variable.get() == expected
        contexts.append(contextvars.copy_context())

    for _ in range(3):
        loop.call_soon(note, "other", context=context)
        loop.call_soon(note, None)
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert len(contexts) == 6
    handle = loop.call_soon(print)
    assert not handle.cancelled() and handle.get_context() is not context
    handle.cancel()


def test_a_handle_cancelled_while_it_runs_is_not_the_next_one(loop):
    handles = []
    seen = []
    for number in range(3):
        handles.append(loop.call_soon(lambda: handles.pop().cancel()))
        loop.call_soon(loop.stop)
        loop.run_forever()
        later = [loop.call_soon(seen.append, number) for _ in range(100)]
        assert not any(handle.cancelled() for handle in later)
        del later
        loop.call_soon(loop.stop)
        loop.run_forever()
    assert seen == [0] * 100 + [1] * 100 + [2] * 100


def test_a_handle_of_debug_mode_is_not_the_next_one(loop):
    loop.set_debug(True)
    loop.call_soon(id, loop)
    loop.set_debug(False)
    loop.call_soon(loop.stop)
    loop.run_forever()
    assert "created at" not in "".join(repr(loop.call_soon(id, loop)) for _ in range(100))
    loop.call_soon(loop.stop)
    loop.run_forever()


def test_the_repr_of_a_handle_names_its_callback(loop):
    loop.set_debug(False)
    handle = loop.call_soon(functools.partial(print, 1), 2)
    assert "print" in repr(handle) and repr(handle).startswith("<Handle")
    handle.cancel()
    assert repr(handle) == "<Handle cancelled>"


def test_call_soon_on_a_closed_loop_raises(loop_factory):
    loop = loop_factory()
    loop.close()
    for call in (loop.call_soon, loop.call_soon_threadsafe):
        with pytest.raises(RuntimeError, match="Event loop is closed"):
            call(print)
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.call_later(1, print)


def test_close_drops_what_was_never_run(loop_factory):
    class Payload:
        pass

    payload = Payload()
    alive = weakref.ref(payload)
    loop = loop_factory()
    loop.call_soon(print, payload)
    loop.call_later(1000, print, payload)
    del payload
    loop.close()
    gc.collect()
    assert alive() is None


async def test_callbacks_that_never_end_do_not_starve_io_and_timers():
    loop = asyncio.get_running_loop()
    running = True

    def spin():
        if running:
            loop.call_soon(spin)

    spin()
    with unix_pair() as (one, other):
        other.send(b"x")
        assert await loop.sock_recv(one, 1) == b"x"
    await asyncio.sleep(0.001)
    running = False


@pytest.mark.zcloop_only
def test_an_idle_loop_takes_no_turns(loop):
    async def main():
        await asyncio.sleep(0.001)
        before = loop.statistics()["turns"]
        await asyncio.sleep(0.05)
        return loop.statistics()["turns"] - before

    assert loop.run_until_complete(main()) <= 4
