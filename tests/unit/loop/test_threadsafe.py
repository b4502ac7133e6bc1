"""call_soon_threadsafe: from threads and signal handlers, with no wake-up lost."""

import asyncio
import os
import signal
import sys
import threading

import pytest


@pytest.mark.seconds(60)
def test_no_wakeup_of_a_sleeping_loop_is_lost_in_a_hundred_thousand(loop):
    attempts = 100_000
    ready = threading.Semaphore(0)

    def caller():
        for _ in range(attempts):
            ready.acquire()
            loop.call_soon_threadsafe(arrived)

    count = 0

    def arrived():
        nonlocal count
        count += 1
        if count == attempts:
            loop.stop()
        else:
            ready.release()

    thread = threading.Thread(target=caller)
    thread.start()
    ready.release()
    loop.run_forever()
    thread.join()
    assert count == attempts


def test_calls_of_each_thread_arrive_in_their_order_and_none_is_lost(loop):
    threads, calls = 4, 5000
    seen = {number: [] for number in range(threads)}
    done = []

    def caller(number):
        for call in range(calls):
            loop.call_soon_threadsafe(seen[number].append, call)
        loop.call_soon_threadsafe(finished)

    def finished():
        done.append(None)
        if len(done) == threads:
            loop.stop()

    callers = [threading.Thread(target=caller, args=(number,)) for number in range(threads)]
    for each in callers:
        each.start()
    loop.run_forever()
    for each in callers:
        each.join()
    assert all(calls_seen == list(range(calls)) for calls_seen in seen.values())


@pytest.mark.zcloop_only
def test_a_burst_of_calls_wakes_the_loop_a_few_times_only(loop):
    async def main():
        asleep, done = threading.Event(), loop.create_future()

        def burst():
            asleep.wait()
            for _ in range(10_000):
                loop.call_soon_threadsafe(int)
            loop.call_soon_threadsafe(done.set_result, None)

        thread = threading.Thread(target=burst)
        thread.start()
        before = loop.statistics()["completions"]
        asleep.set()
        await done
        thread.join()
        return loop.statistics()["completions"] - before

    loop.set_debug(False)  # a stack for each call looks at files, and gives up the GIL
    interval = sys.getswitchinterval()
    sys.setswitchinterval(10)  # the loop, once woken, does not get the GIL before the burst is over
    try:
        assert loop.run_until_complete(main()) < 20
    finally:
        sys.setswitchinterval(interval)


def test_a_python_signal_handler_may_call_it_while_the_loop_sleeps(loop):
    async def main():
        done = loop.create_future()
        previous = signal.signal(
            signal.SIGUSR1, lambda *_: loop.call_soon_threadsafe(done.set_result, "woken")
        )
        try:
            timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGUSR1))
            timer.start()
            assert await done == "woken"
            timer.join()
        finally:
            signal.signal(signal.SIGUSR1, previous)

    loop.run_until_complete(main())


def test_what_is_called_before_the_loop_runs_is_run_by_it(loop):
    thread = threading.Thread(target=loop.call_soon_threadsafe, args=(loop.stop,))
    thread.start()
    thread.join()
    loop.run_forever()


def test_run_coroutine_threadsafe_returns_results_and_cancels(loop):
    async def double(number):
        await asyncio.sleep(0)
        return 2 * number

    async def forever():
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    ended, results = [], []

    def other_thread():
        results.append(asyncio.run_coroutine_threadsafe(double(21), loop).result())
        endless = asyncio.run_coroutine_threadsafe(forever(), loop)
        loop.call_soon_threadsafe(endless.cancel)
        while not ended:
            asyncio.run_coroutine_threadsafe(double(0), loop).result()
        loop.call_soon_threadsafe(loop.stop)

    thread = threading.Thread(target=other_thread)
    thread.start()
    loop.run_forever()
    thread.join()
    assert results == [42] and ended == [True]


@pytest.mark.parametrize("debug", [False, True])
def test_closing_while_other_threads_call_raises_in_them_and_nothing_else(loop_factory, debug):
    for _ in range(20):
        loop = loop_factory()
        loop.set_debug(debug)
        refused = []
        started = threading.Event()

        def caller(loop=loop, refused=refused, started=started):
            try:
                while True:
                    loop.call_soon_threadsafe(int)
                    started.set()
            except RuntimeError as error:
                refused.append(str(error))

        thread = threading.Thread(target=caller)
        thread.start()
        started.wait()
        loop.run_until_complete(asyncio.sleep(0.001))
        loop.close()
        thread.join()
        assert refused == ["Event loop is closed"]


# ---- cancelling what another thread runs: Python 3.14 promises to wait ---------------------------


@pytest.fixture
def waiting(loop):
    """A loop whose threadsafe handles are those of Python 3.14."""
    if hasattr(loop, "does_cancel_wait"):
        assert loop.does_cancel_wait == (sys.version_info >= (3, 14))
        loop.does_cancel_wait = True
    elif sys.version_info < (3, 14):
        pytest.skip("asyncio's cancel() does not wait before Python 3.14")
    return loop


@pytest.mark.parametrize("ask", ["cancel", "cancelled"])
@pytest.mark.parametrize("threads", [1, 4])
def test_who_cancels_waits_for_the_end_of_the_run(waiting, ask, threads):
    has_begun = threading.Event()
    may_end = threading.Event()
    seen = []
    ended = []

    def callback():
        has_begun.set()
        may_end.wait()
        ended.append(True)

    def canceller():
        has_begun.wait()
        timer = threading.Timer(0.01, may_end.set)
        timer.start()
        getattr(handle, ask)()
        seen.append(list(ended))
        if len(seen) == threads:
            waiting.call_soon_threadsafe(waiting.stop)
        timer.join()

    handle = waiting.call_soon_threadsafe(callback)
    cancellers = [threading.Thread(target=canceller) for _ in range(threads)]
    for each in cancellers:
        each.start()
    waiting.run_forever()
    for each in cancellers:
        each.join()
    assert seen == [[True]] * threads


def test_a_callback_can_cancel_itself(waiting):
    seen = []

    def callback():
        handle.cancel()
        seen.append(handle.cancelled())
        waiting.stop()

    handle = waiting.call_soon_threadsafe(callback)
    waiting.run_forever()
    assert seen == [True]


def test_one_that_is_cancelled_in_time_does_not_run(waiting):
    seen = []
    handle = waiting.call_soon_threadsafe(seen.append, "not wanted")
    handle.cancel()
    waiting.call_soon_threadsafe(waiting.stop)
    waiting.run_forever()
    assert seen == []
    assert handle.cancelled()


def test_one_that_fails_can_be_cancelled_after_it(waiting):
    reported = []
    waiting.set_exception_handler(lambda loop, context: reported.append(context))
    handle = waiting.call_soon_threadsafe(int, "no number")
    waiting.call_soon_threadsafe(waiting.stop)
    waiting.run_forever()
    handle.cancel()
    assert [type(each["exception"]) for each in reported] == [ValueError]
    assert reported[0]["handle"] is handle


def test_cancelling_while_others_run_and_end(waiting):
    """Each callback has ended, or never runs, once cancel() has returned."""
    calls = 3000
    state = ["queued"] * calls
    after = []

    def callback(number):
        state[number] = "running"
        sum(range(50))
        state[number] = "over"

    def canceller():
        for number in range(calls):
            handle = waiting.call_soon_threadsafe(callback, number)
            if number % 3:
                handle.cancel()
                after.append(state[number])
        waiting.call_soon_threadsafe(waiting.stop)

    thread = threading.Thread(target=canceller)
    thread.start()
    waiting.run_forever()
    thread.join()
    assert set(after) <= {"queued", "over"}
    assert all(state[number] == "over" for number in range(0, calls, 3))
