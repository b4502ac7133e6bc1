"""Threads that C or Rust has started run no Python code of their own: debug mode finds no stack.

An exception in such a thread goes to sys.unraisablehook, and fails the test.
"""

import _thread
import os

import pytest

USES = {
    "call_soon": lambda loop: (loop.call_soon, loop.stop),
    "call_later": lambda loop: (loop.call_later, 0, loop.stop),
    "call_at": lambda loop: (loop.call_at, loop.time(), loop.stop),
    "call_soon_threadsafe": lambda loop: (loop.call_soon_threadsafe, loop.stop),
    "run_in_executor": lambda loop: (
        loop.run_in_executor, None, loop.call_soon_threadsafe, loop.stop,
    ),
    "create_task": lambda loop: (loop.create_task, stopping(loop)),
}  # fmt: skip


@pytest.fixture(params=[False, True], ids=["quiet", "debug"])
def loop(request, loop):
    loop.set_debug(request.param)
    return loop


async def stopping(loop):
    loop.stop()


def in_frameless_thread(function, *arguments):
    """What such a thread gets from a native function."""
    results = []
    _thread.start_new_thread(results.extend, (map(function, *([one] for one in arguments)),))
    while not results:
        os.sched_yield()
    return results[0]


@pytest.mark.seconds(10)
def test_a_call_from_a_thread_without_a_frame_wakes_the_sleeping_loop(loop):
    for _ in range(100):
        loop.call_soon(_thread.start_new_thread, loop.call_soon_threadsafe, (loop.stop,))
        loop.run_forever()


@pytest.mark.seconds(10)
@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_what_a_thread_without_a_frame_asks_for_is_done(loop, use):
    in_frameless_thread(*use(loop))
    loop.run_forever()


@pytest.mark.seconds(10)
def test_a_handle_made_without_a_frame_can_be_shown(loop):
    handle = in_frameless_thread(loop.call_soon_threadsafe, print)
    assert "print" in repr(handle)
    handle.cancel()
    assert "cancelled" in repr(handle)
