"""What debug mode checks and logs."""

import asyncio
import gc
import logging
import time
import weakref

import pytest
from peers import connection
from recording import Recorder


@pytest.fixture
def debugged(loop):
    loop.set_debug(True)
    return loop


def test_calls_from_another_thread_are_refused(debugged):
    async def main():
        for call in (debugged.call_soon, lambda f: debugged.call_later(1, f)):
            with pytest.raises(RuntimeError, match="Non-thread-safe operation"):
                await asyncio.to_thread(call, print)
        handle = await asyncio.to_thread(debugged.call_soon_threadsafe, int)
        assert not handle.cancelled()

    debugged.run_until_complete(main())


def test_coroutines_as_callbacks_are_refused(debugged):
    async def coroutine():
        pass

    for call in (debugged.call_soon, lambda f: debugged.call_later(1, f)):
        with pytest.raises(TypeError, match="coroutines cannot be used"):
            call(coroutine)
    with pytest.raises(TypeError, match="a callable object was expected"):
        debugged.call_soon(42)


def test_slow_callbacks_are_logged_with_their_name(debugged, caplog):
    def slow_one():
        time.sleep(0.02)

    debugged.slow_callback_duration = 0.01
    with caplog.at_level(logging.WARNING, "asyncio"):
        debugged.call_soon(slow_one)
        debugged.call_soon(debugged.stop)
        debugged.run_forever()
    (record,) = caplog.records
    assert "slow_one" in record.getMessage() and "took 0.0" in record.getMessage()


def test_nothing_is_logged_without_debug(loop, caplog):
    loop.set_debug(False)
    loop.slow_callback_duration = 0
    loop.run_until_complete(asyncio.sleep(0.001))
    assert caplog.records == []


def test_a_failing_callback_is_reported_with_where_it_was_scheduled(debugged, reported):
    def scheduled_here():
        debugged.call_soon(lambda: 1 / 0)

    scheduled_here()
    debugged.call_soon(debugged.stop)
    debugged.run_forever()
    (context,) = reported
    reported.clear()
    assert "scheduled_here" in [frame.name for frame in context["source_traceback"]]
    assert context["handle"]._source_traceback is context["source_traceback"]


def test_handles_say_where_they_were_made(debugged):
    for handle in (debugged.call_soon(print), debugged.call_later(1000, print)):
        assert f"created at {__file__}" in repr(handle)
        handle.cancel()


def test_debug_can_be_switched_while_running(loop):
    async def main():
        for debug in (True, False, True):
            loop.set_debug(debug)
            await asyncio.sleep(0)
            assert loop.get_debug() is debug

    loop.run_until_complete(main())


def test_the_environment_switches_it_on(loop_factory, monkeypatch):
    from peers import script

    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    assert script("loop = new_event_loop(); print(loop.get_debug()); loop.close()") == "True\n"


def test_transports_work_in_debug_mode(debugged, caplog):
    async def main():
        async with connection(Recorder) as (transport, protocol, peer):
            transport.write(b"x" * 10_000)
            assert await debugged.sock_recv(peer, 20_000) == b"x" * 10_000
            transport.pause_reading()
            transport.resume_reading()
            peer.send(b"answer")
            assert await protocol.received(6) == b"answer"
            peer.close()
            await protocol.lost()

    with caplog.at_level(logging.DEBUG, "asyncio"):
        debugged.run_until_complete(main())
    said = caplog.text
    assert "pauses reading" in said and "resumes reading" in said and "received EOF" in said


@pytest.mark.zcloop_only  # asyncio's handles keep all that
@pytest.mark.parametrize("delay", [None, 0])
def test_a_handle_that_has_run_holds_nothing(loop_factory, delay):
    class Held:
        def call(self, *args):
            self.calls = getattr(self, "calls", 0) + 1

    loop = loop_factory()
    loop.set_debug(True)
    held = Held()
    if delay is None:
        handle = held.handle = loop.call_soon(held.call, held)
    else:
        handle = held.handle = loop.call_later(delay, held.call, held)
    loop.run_until_complete(asyncio.sleep(0.001))
    assert held.calls == 1
    gone = weakref.ref(held)
    del held
    assert gone() is None
    loop.close()
    del loop
    gc.collect()
    assert handle._loop is None
    handle._run()


def test_the_handle_of_a_slow_callback_is_still_described(debugged, caplog):
    debugged.slow_callback_duration = 0
    with caplog.at_level(logging.WARNING, "asyncio"):
        handle = debugged.call_soon(locals)
        debugged.run_until_complete(asyncio.sleep(0))
    assert any("locals" in record.getMessage() for record in caplog.records)
    assert "locals" not in repr(handle)
