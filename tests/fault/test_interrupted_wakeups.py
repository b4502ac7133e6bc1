"""A signal handler raises just when another thread has woken the loop, which goes on after it."""

import subprocess
import sys

import pytest

# The wake-up and the signal come while this thread has the GIL, so that the loop finds both when
# it is awake again: it has read the completion, and raises before it hands it on.
WOKEN_AND_INTERRUPTED = """
import asyncio, signal, sys, threading, time, zcloop

class Interrupted(BaseException):
    pass

def interrupt(*_):
    raise Interrupted

signal.signal(signal.SIGUSR1, interrupt)
loop = zcloop.new_event_loop()

def strike():
    while loop.statistics()["sleeps"] == sleeps:
        time.sleep(0.001)
    sys.setswitchinterval(5)  # both of these in one go
    loop.call_soon_threadsafe(seen.append, 1)
    signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

seen = []
for count in range(1, 21):
    loop.run_until_complete(asyncio.sleep(0))
    sleeps = loop.statistics()["sleeps"]
    thread = threading.Thread(target=strike)
    thread.start()
    try:
        loop.run_forever()
    except Interrupted:
        pass
    sys.setswitchinterval(0.005)
    thread.join()
    loop.run_until_complete(asyncio.sleep(0))
    assert len(seen) == count, (seen, count)
loop.close()
print("went on")
"""

ENDED_BY_A_SIGNAL = """
import asyncio, os, signal, sys, threading, zcloop

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

async def main():
    while True:
        await asyncio.to_thread(int)

threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM)).start()
zcloop.run(main())
"""


def ended(program: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-P", "-c", program], capture_output=True, text=True, timeout=25
    )


def test_a_loop_goes_on_after_a_handler_that_raised_while_a_thread_woke_it():
    done = ended(WOKEN_AND_INTERRUPTED)
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


@pytest.mark.parametrize("attempt", range(6))
def test_sys_exit_in_a_handler_ends_a_program_that_uses_threads(attempt):
    done = ended(ENDED_BY_A_SIGNAL)
    assert (done.returncode, done.stderr) == (0, "")
