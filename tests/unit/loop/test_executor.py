"""Calls in an executor: their result, their failure, and who is cancelled by whom."""

import asyncio
import concurrent.futures
import contextvars
import gc
import threading
import weakref

import pytest


class Given(concurrent.futures.Executor):
    """Gives a future that the test resolves."""

    def __init__(self, future=None):
        self.future = concurrent.futures.Future() if future is None else future

    def submit(self, _func, /, *_args, **_kwargs):
        return self.future


async def in_given(executor):
    return asyncio.get_running_loop().run_in_executor(executor, print)


async def test_it_runs_in_another_thread_with_its_arguments():
    loop = asyncio.get_running_loop()
    for _ in range(2):  # the first makes the pool
        found = await loop.run_in_executor(
            None, lambda *args: (threading.get_ident(), args), 1, "b"
        )
        assert found[0] != threading.get_ident() and found[1] == (1, "b")


async def test_what_it_raises_is_raised():
    loop = asyncio.get_running_loop()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await loop.run_in_executor(None, lambda: 1 / 0)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (concurrent.futures.CancelledError("why"), asyncio.CancelledError),
        (concurrent.futures.InvalidStateError("why"), asyncio.InvalidStateError),
        (TimeoutError("why"), TimeoutError),
    ],
)
async def test_exceptions_of_concurrent_futures_become_asyncios(raised, expected):
    executor = Given()
    future = await in_given(executor)
    executor.future.set_exception(raised)
    with pytest.raises(expected) as caught:
        await future
    assert caught.type is expected and caught.value.args == ("why",)


async def test_cancelling_cancels_the_call():
    executor = Given()
    future = await in_given(executor)
    future.cancel()
    await asyncio.sleep(0)
    assert executor.future.cancelled()
    with pytest.raises(asyncio.CancelledError):
        await future


async def test_a_cancelled_call_cancels_who_waits():
    executor = Given()
    future = await in_given(executor)
    executor.future.cancel()
    executor.future.set_running_or_notify_cancel()
    with pytest.raises(asyncio.CancelledError):
        await future


async def test_a_result_that_comes_too_late_is_dropped():
    executor = Given()
    future = await in_given(executor)
    assert executor.future.set_running_or_notify_cancel()
    future.cancel()
    await asyncio.sleep(0)
    assert not executor.future.cancelled()
    executor.future.set_result("late")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert future.cancelled()


async def test_one_that_was_done_before():
    executor = Given()
    executor.future.set_result("early")
    assert await (await in_given(executor)) == "early"


async def test_an_asyncio_future_of_an_executor_is_given_back():
    executor = Given(asyncio.get_running_loop().create_future())
    assert await in_given(executor) is executor.future


async def test_something_else_of_an_executor_is_refused():
    with pytest.raises(AssertionError):
        await in_given(Given("no future"))


def test_a_call_that_ends_after_the_loop_is_nobodys(loop_factory, caplog):
    loop = loop_factory()
    executor = Given()
    loop.run_until_complete(in_given(executor))
    loop.close()
    executor.future.set_result(None)
    assert not caplog.records


def test_no_call_after_the_pool_was_shut_down(loop_factory):
    loop = loop_factory()

    async def shut_down():
        await loop.run_in_executor(None, int)
        await loop.shutdown_default_executor()
        with pytest.raises(RuntimeError, match="shutdown"):
            loop.run_in_executor(None, int)

    loop.run_until_complete(shut_down())
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_in_executor(Given(), int)


async def test_the_debug_mode_refuses_a_coroutine():
    async def coroutine():
        pass

    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    with pytest.raises(TypeError, match="coroutines cannot be used with run_in_executor"):
        loop.run_in_executor(None, coroutine)
    loop.set_debug(False)


async def test_to_thread_takes_the_context_along():
    variable = contextvars.ContextVar("variable", default="unset")
    await asyncio.to_thread(int)
    variable.set("set")
    assert await asyncio.to_thread(variable.get) == "set"


class Result(Exception):
    """One that can be watched."""


@pytest.mark.zcloop_only  # asyncio keeps what comes after the loop was closed
@pytest.mark.parametrize("way", ["result", "error", "cancelled", "closed"])
def test_nothing_is_kept_of_a_call(loop_factory, way):
    """Without the collector's help: a result may be large."""
    loop = loop_factory()
    executor = Given()
    source = executor.future
    gc.collect()
    gc.disable()
    try:
        future = loop.run_until_complete(in_given(executor))
        source.set_running_or_notify_cancel()
        result = Result()
        alive = [weakref.ref(result), weakref.ref(source)]
        if way == "cancelled":
            future.cancel()
            loop.run_until_complete(asyncio.sleep(0))
        elif way == "closed":
            loop.close()
        if way == "error":
            source.set_exception(result)
        else:
            source.set_result(result)
        del result, source, executor
        if way != "closed":
            loop.run_until_complete(asyncio.sleep(0))
            loop.run_until_complete(asyncio.wait([future]))
        if way == "error":
            future.exception()
        del future
        assert [ref() for ref in alive] == [None, None]
    finally:
        gc.enable()
        loop.close()


async def test_many_at_once():
    loop = asyncio.get_running_loop()
    found = await asyncio.gather(*(loop.run_in_executor(None, abs, -n) for n in range(500)))
    assert found == list(range(500))
