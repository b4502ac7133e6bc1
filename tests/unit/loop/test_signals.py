"""add_signal_handler, Python's own handlers, and Ctrl-C."""

import asyncio
import os
import signal
import threading

import pytest
from peers import script
from waits import until


def kill(sig=signal.SIGUSR1):
    os.kill(os.getpid(), sig)


@pytest.fixture
def handled(loop):
    """Numbers of the signals handled, and a future for the first."""
    first = loop.create_future()
    seen = []

    def handler(number):
        seen.append(number)
        if not first.done():
            first.set_result(number)

    for number in (signal.SIGUSR1, signal.SIGUSR2):
        loop.add_signal_handler(number, handler, number)
    yield seen, first
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        loop.remove_signal_handler(number)
    first.cancel()


def test_a_signal_that_arrives_in_another_thread_wakes_the_idle_loop(loop, handled):
    def elsewhere():
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)

    timer = threading.Timer(0.02, elsewhere)
    timer.start()
    assert loop.run_until_complete(handled[1]) == signal.SIGUSR1
    timer.join()


def test_a_signal_that_arrives_before_the_loop_runs_is_handled_by_it(loop, handled):
    kill()
    assert loop.run_until_complete(handled[1]) == signal.SIGUSR1


def test_a_signal_is_handled_while_the_loop_never_sleeps(loop, handled):
    async def main():
        kill()
        for _ in range(1000):
            if handled[0]:
                break
            await asyncio.sleep(0)
        return handled[0]

    assert loop.run_until_complete(main()) == [signal.SIGUSR1]


def test_several_signals_are_all_handled(loop, handled):
    async def main():
        kill(signal.SIGUSR1)
        kill(signal.SIGUSR2)
        await handled[1]
        await until(lambda: len(handled[0]) == 2)

    loop.run_until_complete(main())
    assert sorted(handled[0]) == [signal.SIGUSR1, signal.SIGUSR2]


def test_a_thousand_signals_one_by_one_are_all_handled(loop, handled):
    async def main():
        for number in range(1, 1001):
            kill()
            await until(lambda number=number: len(handled[0]) >= number)

    loop.run_until_complete(main())


def test_add_signal_handler_replaces_the_one_before(loop):
    seen = []
    done = loop.create_future()
    loop.add_signal_handler(signal.SIGUSR1, seen.append, "replaced")
    loop.add_signal_handler(signal.SIGUSR1, done.set_result, "current")
    loop.call_later(0.001, kill)
    assert loop.run_until_complete(done) == "current"
    assert loop.remove_signal_handler(signal.SIGUSR1) is True
    assert loop.remove_signal_handler(signal.SIGUSR1) is False
    assert seen == []


def test_removing_gives_back_the_default_action(loop):
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.add_signal_handler(signal.SIGINT, print)
    loop.remove_signal_handler(signal.SIGUSR1)
    loop.remove_signal_handler(signal.SIGINT)
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_close_removes_the_handlers(loop_factory):
    loop = loop_factory()
    loop.add_signal_handler(signal.SIGUSR1, print)
    loop.close()
    assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
    assert signal.set_wakeup_fd(-1) == -1


def test_sigchld_handlers_are_allowed(loop):
    done = loop.create_future()
    loop.add_signal_handler(signal.SIGCHLD, done.set_result, "child")

    async def main():
        process = await asyncio.create_subprocess_exec("true")
        assert await done == "child"
        assert await process.wait() == 0

    loop.run_until_complete(main())
    loop.remove_signal_handler(signal.SIGCHLD)


def test_what_cannot_be_handled_is_refused(loop):
    with pytest.raises(ValueError):
        loop.add_signal_handler(10_000, print)
    with pytest.raises(TypeError):
        loop.add_signal_handler("SIGUSR1", print)
    with pytest.raises(RuntimeError):
        loop.add_signal_handler(signal.SIGKILL, print)

    async def coroutine():
        pass

    with pytest.raises(TypeError, match="coroutines cannot be used"):
        loop.add_signal_handler(signal.SIGUSR1, coroutine)


async def test_other_threads_may_not_add_handlers():
    loop = asyncio.get_running_loop()
    with pytest.raises((RuntimeError, ValueError)):
        await asyncio.to_thread(loop.add_signal_handler, signal.SIGUSR1, print)


def test_a_python_handler_runs_while_the_loop_sleeps(loop):
    seen = []
    previous = signal.signal(signal.SIGUSR1, lambda *_: (seen.append("handled"), loop.stop()))
    try:
        threading.Timer(0.02, kill).start()
        loop.call_later(20, loop.stop)
        loop.run_forever()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    assert seen == ["handled"]


def test_a_wakeup_fd_of_the_program_is_left_to_it(loop):
    read_fd, write_fd = os.pipe2(os.O_NONBLOCK)
    before = signal.set_wakeup_fd(write_fd)
    previous = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        loop.run_until_complete(asyncio.sleep(0.001))
        kill()
        assert os.read(read_fd, 10) == bytes([signal.SIGUSR1])
    finally:
        signal.signal(signal.SIGUSR1, previous)
        assert signal.set_wakeup_fd(before) == write_fd
        os.close(read_fd)
        os.close(write_fd)


def test_running_leaves_no_wakeup_fd_behind(loop):
    loop.run_until_complete(asyncio.sleep(0.001))
    assert signal.set_wakeup_fd(-1) == -1


def test_an_exception_of_a_python_handler_leaves_the_loop_which_can_run_again(loop):
    def handler(*_):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGUSR1, handler)
    try:
        for _ in range(20):
            loop.call_later(0.001, kill)
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(asyncio.sleep(20))
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
    finally:
        signal.signal(signal.SIGUSR1, previous)


@pytest.mark.parametrize("state", ["asleep", "busy"])
def test_ctrl_c_cancels_the_main_task_of_a_runner(state):
    said = script(
        f"""
        async def main():
            asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
            try:
                while True:
                    await asyncio.sleep(0 if {state == "busy"} else 1000)
            except asyncio.CancelledError:
                print("cleaned up")
                raise

        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(main())
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    assert said == "cleaned up\ninterrupted\n"
