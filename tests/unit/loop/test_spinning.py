"""spin_us: a loop that looks for completions before it sleeps."""

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time

import pytest

pytestmark = pytest.mark.zcloop_only

LONG = 1_000_000  # microseconds: the loop spins until something comes


def after_start(loop, action):
    """Run `action` in a thread once the loop has nothing to do."""
    started = threading.Event()
    loop.call_soon(started.set)

    def act():
        started.wait()
        time.sleep(0.02)  # the loop may also not have begun to spin: then there is less to see
        action()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


@pytest.mark.parametrize("microseconds", [-1, LONG + 1, 1 << 80])
def test_how_long_is_bounded(loop, microseconds):
    with pytest.raises(ValueError, match="spin_us is 0 to 1000000"):
        loop.spin_us = microseconds
    assert loop.spin_us is None


def test_it_is_adaptive_until_it_is_set(loop):
    assert loop.spin_us is None
    loop.spin_us = 0
    assert loop.spin_us == 0
    loop.spin_us = None
    assert loop.spin_us is None


def test_not_a_number_is_refused(loop):
    with pytest.raises(TypeError):
        loop.spin_us = "50"


def test_data_ends_spinning_without_a_sleep(loop):
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    loop.spin_us = LONG
    thread = after_start(loop, lambda: theirs.send(b"x"))
    assert loop.run_until_complete(loop.sock_recv(ours, 10)) == b"x"
    thread.join()
    assert loop.spin_us == LONG
    assert loop.statistics()["spins"] >= 1
    ours.close()
    theirs.close()


def test_call_soon_threadsafe_ends_spinning(loop):
    loop.spin_us = LONG
    began = time.monotonic()
    thread = after_start(loop, lambda: loop.call_soon_threadsafe(loop.stop))
    loop.run_forever()
    thread.join()
    assert time.monotonic() - began < 0.9
    assert loop.statistics()["spins"] >= 1


def test_a_timer_is_due_while_the_loop_spins(loop):
    loop.spin_us = LONG
    began = time.monotonic()
    loop.run_until_complete(asyncio.sleep(0.3))
    assert 0.295 < time.monotonic() - began < 0.45


def test_a_timer_is_due_when_the_loop_has_looked_in_vain(loop):
    loop.spin_us = 200_000
    began = time.monotonic()
    loop.run_until_complete(asyncio.sleep(0.3))
    assert 0.295 < time.monotonic() - began < 0.45


def test_a_signal_is_handled_after_a_look_in_vain(loop):
    """The program has a wake-up fd of its own, so that nothing but the look's end tells of it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setblocking(False)
        before = signal.set_wakeup_fd(theirs.fileno())
        handled = []
        previous = signal.signal(signal.SIGUSR1, lambda *_: handled.append(time.monotonic()))
        try:
            loop.spin_us = 300_000
            thread = after_start(loop, lambda: os.kill(os.getpid(), signal.SIGUSR1))
            began = time.monotonic()
            loop.run_until_complete(asyncio.sleep(1.5))
            thread.join()
            assert handled[0] - began < 0.9
        finally:
            signal.signal(signal.SIGUSR1, previous)
            signal.set_wakeup_fd(before)


def test_a_signal_ends_spinning(loop):
    loop.spin_us = LONG
    loop.add_signal_handler(signal.SIGUSR1, loop.stop)
    thread = after_start(loop, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    began = time.monotonic()
    loop.run_forever()
    thread.join()
    assert time.monotonic() - began < 0.9
    loop.remove_signal_handler(signal.SIGUSR1)


def test_a_loop_that_found_nothing_sleeps(loop):
    loop.spin_us = 100
    used = time.process_time()
    loop.run_until_complete(asyncio.sleep(0.5))
    assert time.process_time() - used < 0.25
    found = loop.statistics()
    assert found["spins"] == 0
    assert 100_000 <= found["spun_ns"] < 0.25e9 < found["asleep_ns"] < 0.6e9


@contextlib.contextmanager
def echo(delay):
    """A socket to a process that sends everything back after so many seconds.

    Both have a processor of their own, if there are two: on one the other cannot answer while the
    loop looks, and beside another busy process they may stay on one for good.
    """
    ours, theirs = socket.socketpair()
    allowed = sorted(os.sched_getaffinity(0))
    with ours, theirs:
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                os.sched_setaffinity(0, allowed[-1:])
                while data := theirs.recv(100):
                    time.sleep(delay) if delay else None
                    theirs.send(data)
            finally:
                os._exit(0)
        theirs.close()
        ours.setblocking(False)
        os.sched_setaffinity(0, allowed[:1])
        try:
            yield ours
        finally:
            os.sched_setaffinity(0, allowed)
            ours.close()
            os.waitpid(pid, 0)


async def ping_pong(sock, count):
    loop = asyncio.get_running_loop()
    for _ in range(count):
        await loop.sock_sendall(sock, b"x")
        assert await loop.sock_recv(sock, 100) == b"x"


@pytest.mark.needs("uring")
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
@pytest.mark.seconds(120)
def test_a_loop_in_ping_pong_tries_to_spin(loop):
    with echo(0) as sock:
        deadline = time.monotonic() + 100
        while not loop.statistics()["spins"]:  # of a busy machine the answers may be slow
            loop.run_until_complete(ping_pong(sock, 1000))
            assert time.monotonic() < deadline, "it did not look"


def test_zero_is_never(loop):
    loop.spin_us = 0
    with echo(0) as sock:
        loop.run_until_complete(ping_pong(sock, 5000))
    assert loop.statistics()["spins"] == 0


def test_a_slow_peer_is_waited_for_asleep(loop):
    with echo(0.001) as sock:
        loop.run_until_complete(ping_pong(sock, 300))
    assert loop.statistics()["spins"] == 0


def test_timers_are_waited_for_asleep(loop):
    async def main():
        for _ in range(300):
            await asyncio.sleep(0.001)

    loop.run_until_complete(main())
    assert loop.statistics()["spins"] == 0
