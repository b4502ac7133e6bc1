"""Signals at odd moments: between runs, in bursts, in children, with wake-up fds of others."""

import asyncio
import os
import signal
import threading

import pytest
from waits import until


def kill(sig=signal.SIGUSR1):
    os.kill(os.getpid(), sig)


@pytest.fixture
def own_fd():
    """A wake-up fd of the program, not installed yet."""
    read_fd, write_fd = os.pipe2(os.O_NONBLOCK)
    yield write_fd
    signal.set_wakeup_fd(-1)
    os.close(read_fd)
    os.close(write_fd)


@pytest.fixture
def seen(loop):
    numbers = []
    loop.add_signal_handler(signal.SIGUSR1, numbers.append, signal.SIGUSR1)
    yield numbers
    loop.remove_signal_handler(signal.SIGUSR1)


def test_signals_between_runs_are_each_handled_by_the_next(loop, seen):
    for number in range(1, 51):
        kill()
        loop.run_until_complete(until(lambda number=number: len(seen) >= number))
        loop.run_until_complete(asyncio.sleep(0))
    assert len(seen) == 50


def test_a_burst_of_ten_thousand_ends_with_all_later_signals_handled(loop, seen):
    async def main():
        for _ in range(10_000):
            kill()
        await until(lambda: seen)
        await asyncio.sleep(0.01)  # in which those come that were still in the pipe
        seen.clear()
        kill()
        await until(lambda: seen)

    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before, warn_on_full_buffer=False)
    loop.run_until_complete(main())


def test_signals_are_handled_after_a_handler_was_interrupted(loop, seen):
    def interrupt():
        raise KeyboardInterrupt

    loop.add_signal_handler(signal.SIGUSR2, interrupt)
    for number in range(1, 21):
        loop.call_soon(kill, signal.SIGUSR2)
        with pytest.raises(KeyboardInterrupt):
            loop.run_forever()
        kill()
        loop.run_until_complete(until(lambda number=number: len(seen) >= number))
    loop.remove_signal_handler(signal.SIGUSR2)


def test_a_handler_added_while_the_loop_runs_in_another_thread_is_called(loop_factory):
    loop = loop_factory()
    called = threading.Event()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        ready = threading.Event()
        loop.call_soon_threadsafe(ready.set)
        ready.wait()
        loop.add_signal_handler(signal.SIGUSR1, called.set)
        for _ in range(3):
            called.clear()
            kill()
            assert called.wait(5)
        loop.remove_signal_handler(signal.SIGUSR1)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_wakeup_fd_that_the_program_sets_during_a_run_stays(loop, own_fd):
    async def main():
        signal.set_wakeup_fd(own_fd)

    loop.run_until_complete(main())
    assert signal.set_wakeup_fd(-1) == own_fd


def test_no_wakeup_fd_of_ours_stays_where_the_program_had_one(loop, own_fd):
    async def main():
        loop.add_signal_handler(signal.SIGUSR1, print)
        loop.remove_signal_handler(signal.SIGUSR1)

    signal.set_wakeup_fd(own_fd)
    loop.run_until_complete(main())
    assert signal.set_wakeup_fd(-1) in (-1, own_fd)


@pytest.mark.zcloop_only  # asyncio has no wake-up fd unless it has handlers
def test_a_handler_that_is_refused_leaves_signals_waking_the_loop(loop):
    """The signal arrives in another thread, so that only the wake-up fd tells this one."""
    seen = []

    def handler(*_):
        seen.append("in time")
        loop.stop()

    def give_up():
        seen.append("late")
        loop.stop()

    async def main():
        with pytest.raises(RuntimeError):
            loop.add_signal_handler(signal.SIGKILL, print)
        timer.start()
        loop.call_later(5, give_up)

    timer = threading.Timer(
        0.02, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    )
    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        task = loop.create_task(main())
        loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    timer.join()
    assert task.done() and seen == ["in time"]


@pytest.mark.zcloop_only  # asyncio does so since 3.12
def test_a_signal_of_a_forked_child_is_not_handled_by_the_parent(loop, seen):
    async def main():
        pid = os.fork()
        if not pid:
            kill()
            os._exit(0)
        os.waitpid(pid, 0)
        await asyncio.sleep(0.02)  # in which it would have come

    loop.run_until_complete(main())
    assert seen == []


@pytest.mark.zcloop_only  # asyncio leaves a wake-up fd that is closed
def test_closing_elsewhere_than_in_the_main_thread_closes_all_the_same(loop_factory):
    def close():
        with pytest.raises(ValueError, match="main thread"):
            loop.close()
        closed.append(loop.is_closed())

    loop, closed = loop_factory(), []
    loop.add_signal_handler(signal.SIGUSR1, print)
    thread = threading.Thread(target=close)
    thread.start()
    thread.join()
    assert closed == [True]
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    loop.close()  # the main thread does the rest
    assert signal.set_wakeup_fd(-1) == -1
