"""spin_us: a loop that looks for completions before it sleeps."""

import asyncio
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


@pytest.mark.parametrize("microseconds", [-1, LONG + 1, 1 << 40])
def test_how_long_is_bounded(loop, microseconds):
    with pytest.raises(ValueError, match="spin_us is 0 to 1000000"):
        loop.spin_us = microseconds
    assert loop.spin_us == 0


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
    loop.run_until_complete(asyncio.sleep(0.05))
    assert 0.045 < time.monotonic() - began < 0.9


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
    assert loop.statistics()["spins"] == 0
