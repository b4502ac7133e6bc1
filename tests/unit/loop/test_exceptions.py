"""Exceptions of callbacks: who is told, and what goes on."""

import asyncio
import sys

import pytest
from peers import unix_pair


def one_turn(loop):
    loop.stop()
    loop.run_forever()


def test_an_exception_is_reported_and_the_turn_goes_on(loop, reported):
    seen = []

    def fails(text):
        raise LookupError(text)

    handle = loop.call_soon(fails, "reason")
    loop.call_soon(seen.append, "after")
    one_turn(loop)
    (context,) = reported
    reported.clear()
    assert "fails" in context["message"] and context["message"].startswith("Exception in callback")
    assert isinstance(context["exception"], LookupError)
    assert context["handle"] is handle
    assert seen == ["after"]


def test_an_exception_in_a_reader_is_reported_and_it_is_called_again(loop, reported):
    async def main():
        with unix_pair() as (one, other):
            calls = []

            def reader():
                calls.append(None)
                if len(calls) == 3:
                    done.set_result(None)
                    loop.remove_reader(one)
                raise OSError("not read")

            done = loop.create_future()
            loop.add_reader(one, reader)
            other.send(b"x")
            await done
            return len(calls)

    assert loop.run_until_complete(main()) == 3
    assert [str(context["exception"]) for context in reported] == ["not read"] * 3
    reported.clear()


def test_a_handler_that_fails_is_logged_and_the_loop_goes_on(loop_factory, caplog):
    loop = loop_factory()

    def handler(loop, context):
        raise ValueError("the handler itself")

    loop.set_exception_handler(handler)
    loop.call_soon(lambda: 1 / 0)
    one_turn(loop)
    assert loop.run_until_complete(asyncio.sleep(0, "fine")) == "fine"
    loop.close()
    assert "Unhandled error in exception handler" in caplog.text


def test_without_a_handler_the_exception_is_logged(loop_factory, caplog):
    loop = loop_factory()
    loop.call_soon(lambda: 1 / 0)
    one_turn(loop)
    loop.close()
    assert "Exception in callback" in caplog.text and "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_system_exit_and_keyboard_interrupt_leave_the_loop_at_once(loop, error):
    seen = []

    def fails():
        raise error

    loop.call_soon(seen.append, "before")
    loop.call_soon(fails)
    loop.call_soon(seen.append, "after")
    with pytest.raises(type(error)):
        loop.run_forever()
    assert seen == ["before"]
    one_turn(loop)
    assert seen == ["before", "after"]


def test_a_cancelled_error_in_a_callback_is_reported_as_any_other(loop, reported):
    def fails():
        raise asyncio.CancelledError

    loop.call_soon(fails)
    one_turn(loop)
    assert isinstance(reported.pop()["exception"], asyncio.CancelledError)


def test_a_callback_that_cancels_itself_and_fails_is_reported(loop, reported):
    def fails():
        handle.cancel()
        raise LookupError

    handle = loop.call_soon(fails)
    one_turn(loop)
    assert isinstance(reported.pop()["exception"], LookupError)


def test_a_call_with_the_wrong_arguments_is_reported(loop, reported):
    loop.call_soon(lambda: None, "one too many")
    one_turn(loop)
    assert isinstance(reported.pop()["exception"], TypeError)


def test_a_task_nobody_awaited_is_reported_when_it_goes(loop, reported):
    import gc

    async def fails():
        raise LookupError("unseen")

    async def main():
        unseen = asyncio.ensure_future(fails())
        while not unseen.done():
            await asyncio.sleep(0)

    loop.run_until_complete(main())
    gc.collect()
    (context,) = reported
    reported.clear()
    assert context["message"] == "Task exception was never retrieved"


@pytest.mark.skipif(
    sys.version_info >= (3, 12),
    reason="the handler runs in the handle's context, which cannot be entered twice",
)
def test_a_handler_may_run_the_failed_handle_again(loop):
    def fails():
        raise LookupError(len(told))

    def handler(loop, context):
        told.append(context["exception"])
        if len(told) == 1:
            assert context["handle"]._loop is loop
            context["handle"]._run()

    told = []
    loop.set_exception_handler(handler)
    handle = loop.call_soon(fails)
    one_turn(loop)
    assert [str(error) for error in told] == ["0", "1"]
    handle._run()  # it holds nothing any more


def test_a_reader_that_cannot_be_called_is_reported(loop, reported):
    async def main():
        with unix_pair() as (one, other):
            loop.add_reader(one, None)
            other.send(b"x")
            while not reported:
                await asyncio.sleep(0)
            loop.remove_reader(one)

    loop.run_until_complete(main())
    assert isinstance(reported[0]["exception"], TypeError)
    reported.clear()
