"""run_forever, run_until_complete, stop, close: what they promise and what they refuse."""

import asyncio
import gc
import inspect
import threading
import warnings
import weakref
from asyncio.base_events import BaseEventLoop

import pytest
from peers import unix_pair

REFUSALS_LEAVE_THE_LOOP_RUNNING = pytest.mark.skipif(
    "try:\n            self._run_forever_setup" in inspect.getsource(BaseEventLoop.run_forever),
    reason="this Python's run_forever clears the running loop when it refuses (3.13.0)",
)


def test_stop_before_run_forever_runs_one_turn(loop):
    seen = []
    loop.call_soon(seen.append, 1)
    loop.call_soon(lambda: loop.call_soon(seen.append, 2))
    loop.stop()
    loop.run_forever()
    assert seen == [1]
    loop.stop()
    loop.run_forever()
    assert seen == [1, 2]


def test_stop_inside_a_turn_finishes_that_turn_only(loop):
    seen = []
    loop.call_soon(loop.stop)
    loop.call_soon(seen.append, "same turn")
    loop.call_soon(lambda: loop.call_soon(seen.append, "next turn"))
    loop.run_forever()
    assert seen == ["same turn"]
    assert not loop.is_running()


def test_a_stopped_loop_delivers_what_was_already_readable(loop):
    with unix_pair() as (one, other):
        seen = []
        other.send(b"x")
        loop.add_reader(one, seen.append, "readable")
        loop.stop()
        loop.run_forever()
        loop.remove_reader(one)
        assert seen == ["readable"]


def test_run_until_complete_returns_and_raises_what_the_coroutine_does(loop):
    async def fails():
        raise LookupError("no")

    assert loop.run_until_complete(asyncio.sleep(0, "result")) == "result"
    with pytest.raises(LookupError, match="no"):
        loop.run_until_complete(fails())


def test_run_until_complete_of_a_loop_that_was_stopped_raises(loop):
    future = loop.create_future()
    loop.call_soon(loop.stop)
    with pytest.raises(RuntimeError, match="Event loop stopped before Future completed"):
        loop.run_until_complete(future)
    future.cancel()


@REFUSALS_LEAVE_THE_LOOP_RUNNING
def test_a_running_loop_cannot_be_run_again(loop):
    async def main():
        with pytest.raises(RuntimeError, match="This event loop is already running"):
            loop.run_forever()
        with pytest.raises(RuntimeError, match="already running"):
            loop.run_until_complete(loop.create_future())
        assert loop.is_running()

    loop.run_until_complete(main())


@REFUSALS_LEAVE_THE_LOOP_RUNNING
def test_another_loop_cannot_run_inside_a_running_one(loop, loop_factory):
    async def main():
        other = loop_factory()
        try:
            with pytest.raises(RuntimeError, match="Cannot run the event loop while another"):
                other.run_forever()
        finally:
            other.close()
        # The refusal leaves the outer loop as it was.
        assert asyncio.get_running_loop() is loop
        await asyncio.sleep(0.001)

    loop.run_until_complete(main())


def test_a_running_loop_cannot_be_closed(loop):
    async def main():
        with pytest.raises(RuntimeError, match="Cannot close a running event loop"):
            loop.close()

    loop.run_until_complete(main())
    assert not loop.is_closed()


def test_close_is_idempotent_and_final(loop_factory):
    loop = loop_factory()
    loop.close()
    loop.close()
    assert loop.is_closed()
    with pytest.raises(RuntimeError, match="Event loop is closed"):
        loop.run_forever()


def test_a_loop_that_never_ran_closes(loop_factory):
    loop_factory().close()


def test_a_loop_runs_again_and_again(loop):
    for number in range(500):
        assert loop.run_until_complete(asyncio.sleep(0, number)) == number
    for number in range(20):
        assert loop.run_until_complete(asyncio.sleep(0.001, number)) == number


@pytest.mark.parametrize("leave", ["fresh", "slept", "timer", "ready"])
def test_a_loop_that_was_never_closed_says_so_and_frees_its_descriptors(loop_factory, leave):
    loop = loop_factory()
    if leave == "slept":
        loop.run_until_complete(asyncio.sleep(0.001))
    elif leave == "timer":
        loop.call_later(1000, print)
    elif leave == "ready":
        loop.call_soon(print)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del loop
        gc.collect()
    assert [str(each.message).startswith("unclosed event loop") for each in caught] == [True]


def test_asynchronous_generators_are_shut_down(loop):
    ended = []

    async def endless():
        try:
            while True:
                yield
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    async def main():
        generator = endless()
        await anext(generator)
        return generator

    generator = loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    assert ended == [True]
    del generator


def test_zcloop_run_returns_the_result_and_refuses_to_nest():
    import zcloop

    async def inner():
        return 1

    async def main():
        assert isinstance(asyncio.get_running_loop(), zcloop.Loop)
        nested = inner()
        with pytest.raises(RuntimeError, match="cannot be called from a running event loop"):
            zcloop.run(nested)
        nested.close()
        return "result"

    assert zcloop.run(main()) == "result"


def test_the_classes_of_futures_and_tasks_can_be_replaced(loop, monkeypatch):
    """As nest_asyncio does."""
    monkeypatch.setattr(asyncio.tasks, "Task", asyncio.tasks._PyTask)
    monkeypatch.setattr(asyncio.futures, "Future", asyncio.futures._PyFuture)

    async def main():
        future = loop.create_future()
        assert type(future) is asyncio.futures._PyFuture
        loop.call_soon(future.set_result, 1)
        task = loop.create_task(asyncio.sleep(0, 2), name="named")
        assert type(task) is asyncio.tasks._PyTask
        return await future + await task

    assert loop.run_until_complete(main()) == 3


def test_a_closed_loop_goes_with_its_last_reference(loop_factory):
    """Without the collector, as asyncio's: a thread may be the last that has it."""

    async def main():
        loop = asyncio.get_running_loop()
        told = loop.create_future()
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(told.set_result, None))
        thread.start()
        await told
        thread.join()

    gc.collect()
    gc.disable()
    try:
        loop = loop_factory()
        loop.run_until_complete(main())
        loop.close()
        seen = weakref.ref(loop)
        del loop
        assert seen() is None
    finally:
        gc.enable()
